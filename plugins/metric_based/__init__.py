"""Learners that compare queries with the support set in a learned space."""
