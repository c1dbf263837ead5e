"""Commands on engines that run pipelines elsewhere."""
