"""Protocols: what a suite's settings mean, how a learner is asked, and how its answers are judged.

One object per protocol, and one file: `kshot.py`, `online.py`, `sequence.py`. Whoever writes
another reads `base.py`. Nothing is imported here, so that suite files are read quickly.
"""
