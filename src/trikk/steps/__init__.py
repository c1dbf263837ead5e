"""Ready-made steps, built on nothing that a pipeline's author could not use."""
