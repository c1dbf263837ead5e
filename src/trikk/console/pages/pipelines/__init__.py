"""`/pipelines`: what there is to run, how each has gone, and the forms to start it."""
