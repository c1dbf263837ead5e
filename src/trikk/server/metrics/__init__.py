"""What a server measures of its project, and the part that hands it on."""
