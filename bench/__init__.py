"""bench compares meta-learning families on one episodic protocol.

import bench
bench.run(suites=["glyphs-5way"], budget="smoke")    # what `bench run` does
frame = bench.load_results("results")                # one row per cell
learner = bench.load_learner("results", "maml", seed=0)   # answers your own images
bench.run(suites=[bench.Suite("mine", dataset=torch_dataset)])   # data that you have in Python
"""

from typing import TYPE_CHECKING, Any

from bench.version import __version__

__all__ = ["Suite", "__version__", "load_learner", "load_results", "run"]

if TYPE_CHECKING:
    from bench.facade import run
    from bench.planning.own_suite import Suite
    from bench.results.table import load_results
    from bench.trained.learner import load_learner


def __getattr__(name: str) -> Any:
    """Imports torch and pandas only when something that needs them is asked for."""
    if name == "run":
        from bench.facade import run

        return run
    if name == "load_results":
        from bench.results.table import load_results

        return load_results
    if name == "load_learner":
        from bench.trained.learner import load_learner

        return load_learner
    if name == "Suite":
        from bench.planning.own_suite import Suite

        return Suite
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
