"""What is installed, found through entry points, and which of it is asked for."""
