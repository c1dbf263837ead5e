"""What answers look like: the documents that commands print with --json, as types.

The values are made where commands have them from; the tests hold every answer to its type. A key that may be
absent is `NotRequired`; what may be unknown is null.
"""
