"""A pipeline's parameters: the kinds there are, and what fills them in where no person does."""
