"""SageMaker Pipelines: the graph as a definition in which each step is a processing or a training job."""
