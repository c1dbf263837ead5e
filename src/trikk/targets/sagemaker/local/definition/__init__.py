"""What a pipeline definition says: read, checked, and decided, without doing anything."""
