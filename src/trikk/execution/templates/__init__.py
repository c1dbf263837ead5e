"""A process that has imported a project, of which the hosts of many runs are forked."""
