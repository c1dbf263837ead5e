"""Where bytes are kept: a folder, a bucket, or memory."""
