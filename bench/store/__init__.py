"""What lies on disk: which files there are, what is in them, and how they are written."""
