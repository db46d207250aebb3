"""Arrays in, numbers out. Knows nothing of learners or files."""
