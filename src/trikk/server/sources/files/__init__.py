"""Files of a folder and objects of a bucket that have arrived."""
