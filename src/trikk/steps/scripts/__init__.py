"""Scripts and programs as steps."""
