"""Fuzzing: what comes from outside is mutated and read; only a `BenchError` may come of it.

`tests.fuzz.targets` and `tests.fuzz.file_targets` list what is fuzzed. `tests/test_fuzzing.py` runs
a part within seconds, with every run of the tests, and all of `tests/fuzz/corpus`: one file for
each input that has once been a finding, by target. For a long run::

    python -m tests.fuzz --executions 2000000 --state /tmp/fuzz

An execution is decided by its target and its number, so that the same command goes on where it was
stopped, and a finding can be made again by its number.
"""
