"""Learners with a memory or a fast-weight model of the episode."""
