"""Learners that adapt their own weights by gradient steps."""
