"""What has arrived: files, objects, messages, versions of tables, ends of runs, signed calls."""
