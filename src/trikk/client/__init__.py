"""A server's REST API for programs and for the command line, without a project's folder and its code."""
