"""The contract: everything that the author of a learner reads.

A learner is a `torch.nn.Module` with two methods to write, `adapt` and `predict`. With them it
runs in every suite, in both protocols:

* **k-shot**: `adapt` learns from the support set, `predict` answers the queries;
* **online** (Santoro et al. 2016): examples arrive one at a time, the learner predicts ``y_t`` from
  ``x_t``, after having seen ``(x_0, y_0) ... (x_{t-1}, y_{t-1})``.

One law ties the two views, for every ``t >= 1``::

    unroll(x, y, ways)[:, t] == predict(adapt(x[:, :t], y[:, :t], ways), x[:, t:t+1])[:, 0]

A learner with a memory that is fed step by step (`SequenceLearner`) also runs in **memory probes**
(Graves et al. 2014: copy a sequence, recall by association), which are no classification.

Letters in shapes: ``B`` episodes (always handled together), ``S`` support items, ``Q`` query items,
``T`` time steps, ``D`` features, ``N`` = ways, ``E`` bits of a probe's answer.

This package imports nothing else of the project.
"""

from bench.api.learner import (
    CONTRACT_VERSION,
    Learner,
    MetaOptimizer,
    State,
    map_tensors,
    option,
)
from bench.api.requirement import MissingRequirementError
from bench.api.sequence_learner import SequenceLearner, previous_labels
from bench.api.tasks import Episodes, Protocol, Sequences, Stream, TaskSpec

__all__ = [
    "CONTRACT_VERSION",
    "Episodes",
    "Learner",
    "MetaOptimizer",
    "MissingRequirementError",
    "Protocol",
    "SequenceLearner",
    "Sequences",
    "State",
    "Stream",
    "TaskSpec",
    "map_tensors",
    "option",
    "previous_labels",
]
