"""The contract: all that the author of a plugin imports.

Learners: `Learner`, or `SequenceLearner`, with the `TaskSpec` and the batches it is given.
Datasets: `DatasetSource`, with `cached` and `area_average` to build them from. Executors:
`Executor`, and the `Group` it has carried out. What the user can put right is a `BenchError`.

A learner is a `torch.nn.Module` with two methods to write, `adapt` and `predict`. With them it
runs in every suite of images, in two protocols:

* **k-shot**: `adapt` learns from the support set, `predict` answers the queries;
* **online** (Santoro et al. 2016): examples arrive one at a time, the learner predicts ``y_t`` from
  ``x_t``, after having seen ``(x_0, y_0) ... (x_{t-1}, y_{t-1})``.

One law ties the two views, for every ``t >= 1``::

    unroll(x, y, ways)[:, t] == predict(adapt(x[:, :t], y[:, :t], ways), x[:, t:t+1])[:, 0]

A learner with a memory that is fed step by step (`SequenceLearner`) also runs in **memory probes**
(Graves et al. 2014: copy a sequence, recall by association), which are no classification.

In **regression** (Finn et al. 2017) both views are asked for numbers in place of labels: targets y
are float32, (B, S, E), ``ways`` is 1, and `predict` returns their mean (B, Q, E) or a `Normal`. A
learner takes part by naming the protocols ``regression`` and ``online-regression``.

Letters in shapes: ``B`` episodes (always handled together), ``S`` support items, ``Q`` query items,
``T`` time steps, ``D`` features, ``N`` = ways, ``E`` numbers (of a probe bits) of an answer.

This package imports nothing else of the project, and torch only where something of it is asked for
that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from bench.api.contract import CONTRACT_VERSION, CONTRACTS
from bench.api.errors import BenchError, unknown_name
from bench.api.requirement import MissingRequirementError

if TYPE_CHECKING:
    from bench.api.cache import cached
    from bench.api.compiling import being_compiled, opaque, operator
    from bench.api.dataset import (
        DataFolders,
        DatasetSource,
        ImageClasses,
        Notify,
        Source,
        Split,
    )
    from bench.api.executor import (
        Cancelled,
        Ended,
        Executor,
        Group,
        Limits,
        PlanMismatchError,
        Progress,
        Resources,
        Site,
        Standing,
    )
    from bench.api.learner import Learner, MetaOptimizer, State, in_regression, map_tensors, option
    from bench.api.numbers import Answered, Normal, answer_loss
    from bench.api.resize import area_average
    from bench.api.sequence_learner import SequenceLearner, previous_labels
    from bench.api.tasks import Episodes, Protocol, Sequences, Stream, TaskSpec

__all__ = [
    "CONTRACTS", "CONTRACT_VERSION", "Answered", "BenchError", "Cancelled", "DataFolders",
    "DatasetSource", "Ended", "Episodes", "Executor", "Group", "ImageClasses", "Learner", "Limits",
    "MetaOptimizer", "MissingRequirementError", "Normal", "Notify", "PlanMismatchError",
    "Progress", "Protocol", "Resources", "SequenceLearner", "Sequences", "Site", "Source", "Split",
    "Standing", "State", "Stream", "TaskSpec", "answer_loss", "area_average", "being_compiled",
    "cached", "in_regression", "map_tensors", "opaque", "operator", "option", "previous_labels",
    "unknown_name",
]  # fmt: skip

_LATER = {
    "cache": ("cached",),
    "compiling": ("being_compiled", "opaque", "operator"),
    "dataset": ("DataFolders", "DatasetSource", "ImageClasses", "Notify", "Source", "Split"),
    "executor": (
        "Cancelled",
        "Ended",
        "Executor",
        "Group",
        "Limits",
        "PlanMismatchError",
        "Progress",
        "Resources",
        "Site",
        "Standing",
    ),
    "learner": ("Learner", "MetaOptimizer", "State", "in_regression", "map_tensors", "option"),
    "numbers": ("Answered", "Normal", "answer_loss"),
    "resize": ("area_average",),
    "sequence_learner": ("SequenceLearner", "previous_labels"),
    "tasks": ("Episodes", "Protocol", "Sequences", "Stream", "TaskSpec"),
}
"""Modules that take long to import (torch: 2 s), and what is public of them."""


def __getattr__(name: str) -> Any:
    """Imports a module when something of it is first asked for."""
    for module, names in _LATER.items():
        if name in names:
            globals()[name] = thing = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            return thing
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
