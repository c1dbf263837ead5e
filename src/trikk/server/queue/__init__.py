"""Runs that wait and runs that have lost their driver: which of them is started when, and by what process."""
