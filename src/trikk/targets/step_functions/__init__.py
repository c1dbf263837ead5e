"""AWS Step Functions: a pipeline as a state machine whose tasks are jobs."""
