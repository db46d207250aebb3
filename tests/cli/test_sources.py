"""What installed packages say of their learners."""

from __future__ import annotations

import importlib.metadata

from bench.cli.sources import installed_controls


def test_controls_are_installed_learners():
    controls = installed_controls()
    learners = importlib.metadata.entry_points(group="bench.learners").names
    assert "feedforward" in controls
    assert controls <= learners
