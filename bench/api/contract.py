"""The version of the contract between the harness and its plugins."""

CONTRACT_VERSION = 1
"""A learner states the version it was written for as ``contract = 1``; a dataset and an executor
may do so. One that states another version is refused, with both numbers."""
