"""The version of the contract between the harness and its plugins."""

CONTRACT_VERSION = 2
"""A learner states the version it was written for as ``contract = 2``; a dataset and an executor
may do so. One that states a version that is not among `CONTRACTS` is refused, with the numbers."""

CONTRACTS = (1, 2)
"""The versions that are understood. Version 2 adds to version 1 and changes nothing of it: numbers
as answers (`bench.api.Normal`, `bench.api.answer_loss`, `bench.api.TaskSpec.regression`), and
`bench.api.Learner.protocol_defaults`."""
