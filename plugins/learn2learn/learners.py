"""MAML, Meta-SGD and ANIL by the library learn2learn: other people's code for what `maml` and
`anil` do, as a second opinion on their answers and their speed.

`learn2learn.algorithms.MAML` wraps a model: ``clone()`` for a task, ``adapt(loss)`` for an inner
step, one task after the other in a Python loop, where `maml` runs all inner loops at once. The
network, the objective and the meta-optimizer are those of `maml`, so that the same seed gives the
same weights, before and after meta-training, up to rounding.

References:
    Arnold, Mahajan, Datta, Bunner, Zarkias 2020, "learn2learn: A Library for Meta-Learning
    Research", arXiv:2008.12284.
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400.
    Li, Zhou, Chen, Li 2017, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning",
    arXiv:1707.09835.
    Raghu, Raghu, Bengio, Vinyals 2020, "Rapid Learning or Feature Reuse? Towards Understanding the
    Effectiveness of MAML", ICLR, arXiv:1909.09157.

Letters in shapes: B tasks, S support items, Q queries, F features, N ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from bench.api import State, TaskSpec, map_tensors, option
from bench_plugins.learn2learn.library import algorithms
from bench_plugins.learn2learn.network import Network, Statistics
from bench_plugins.optimization_based import anil, maml
from bench_plugins.optimization_based.task_network import VectorNetwork

l2l = algorithms()

LIBRARY = (
    'Arnold et al. 2020, "learn2learn: A Library for Meta-Learning Research", arXiv:2008.12284'
)


class MAML(maml.MAML):
    """`learn2learn.algorithms.MAML`: a clone of the model for every task, one after the other."""

    contract = 1
    references = (LIBRARY, *maml.MAML.references)
    protocols = ("kshot", "online")
    protocol_defaults: ClassVar[dict[str, dict[str, Any]]] = {}

    @dataclass(frozen=True)
    class Config(maml.MAML.Config):
        """MAML's, without what the library does not have."""

        learned_rates: bool = option(False, "Not in learn2learn.")

        def __post_init__(self) -> None:
            _plain(self)

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__(config, task)  # draws the initial weights
        if isinstance(self.network, VectorNetwork):
            raise ValueError(
                f"{self.config.encoder} of vectors is not among the layers that are made for "
                "learn2learn; encoder=pixels takes them"
            )
        network = Network(dict(self.theta.items()), self.network)
        del self.theta, self.network
        self._wrap(network)

    def _parts(self, images: Tensor) -> int:
        """It takes one task after the other anyway."""
        return 1

    @classmethod
    def why_not_compiled(cls, config: Any, task: TaskSpec) -> str | None:
        """It is here as it is."""
        return "learn2learn runs as it is published"

    def _wrap(self, network: Network) -> None:
        self.model = l2l.MAML(network, lr=self.config.inner_lr)

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The inner loop of every task.

        Returns:
            The weights of the adapted clones, and the statistics of the support sets under them.
        """
        self.check_ways(ways)
        meta_training = torch.is_grad_enabled()  # only then does the step itself need a graph
        with torch.enable_grad():
            tasks = [
                self._adapted_to(x, y, ways, self.config.first_order or not meta_training)
                for x, y in zip(support_x, support_y, strict=True)
            ]
        weights, statistics = zip(*tasks, strict=True)
        state = {
            "weights": {name: torch.stack([w[name] for w in weights]) for name in weights[0]},
            "statistics": None if self.transductive else _stacked(statistics),
            "ways": ways,
        }
        return state if meta_training else map_tensors(Tensor.detach, state)

    def _adapted_to(
        self, x: Tensor, y: Tensor, ways: int, first_order: bool
    ) -> tuple[dict[str, Tensor], Statistics]:
        """One task, from images (S, *input_shape) and labels (S,)."""
        learner = self._steps(x, y, ways, first_order)
        return dict(learner.module.named_parameters()), learner.module.body(x)[1]

    def _steps(self, x: Tensor, y: Tensor, ways: int, first_order: bool) -> Any:
        """A clone of the model, adapted. With fewer ways than trained the last outputs are idle."""
        learner = self.model.clone()
        for _ in range(self.config.inner_steps if self.training else self.config.inner_steps_test):
            learner.adapt(F.cross_entropy(learner(x)[:, :ways], y), first_order=first_order)
        return learner

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N) of the adapted clones, one after the other."""
        logits = [
            self._answer(map_tensors(itemgetter(task), state), x) for task, x in enumerate(query_x)
        ]
        return torch.stack(logits)[..., : state["ways"]]

    def _answer(self, state: State, x: Tensor) -> Tensor:
        """Logits (Q, N) of one task."""
        return functional_call(self.model.module, state["weights"], (x, state["statistics"]))


class MetaSGD(MAML):
    """`learn2learn.algorithms.MetaSGD`: the step size of every weight is meta-learned too."""

    contract = 1
    references = (
        'Li et al. 2017, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning", '
        "arXiv:1707.09835",
        *MAML.references,
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {}  # MAML's are no settings of this paper

    @dataclass(frozen=True)
    class Config(MAML.Config):
        """MAML's."""

        inner_lr: float = option(0.4, "Step size that those of the inner loop (α) start from.")

    def _wrap(self, network: Network) -> None:
        self.model = l2l.MetaSGD(network, lr=self.config.inner_lr)

    @classmethod
    def published_updates(cls, config: Any, task: TaskSpec) -> int | None:
        """Not MAML's schedule."""
        return None


class ANIL(MAML):
    """`learn2learn.algorithms.MAML` of the head alone, which is how that library does ANIL."""

    contract = 1
    references = (LIBRARY, *anil.ANIL.references)
    presets = anil.ANIL.presets

    @dataclass(frozen=True)
    class Config(anil.ANIL.Config):
        """ANIL's, without what the library does not have."""

        learned_rates: bool = option(False, "Not in learn2learn.")
        shared_head: bool = option(False, "Not in learn2learn.")

        def __post_init__(self) -> None:
            _plain(self)

    def _wrap(self, network: Network) -> None:
        self.body = network.body
        self.model = l2l.MAML(network.head, lr=self.config.inner_lr)

    def _adapted_to(
        self, x: Tensor, y: Tensor, ways: int, first_order: bool
    ) -> tuple[dict[str, Tensor], Statistics]:
        features, statistics = self.body(x)  # (S, F)
        learner = self._steps(features, y, ways, first_order)
        return dict(learner.module.named_parameters()), statistics

    def _answer(self, state: State, x: Tensor) -> Tensor:
        features, _ = self.body(x, state["statistics"])  # (Q, F)
        return functional_call(self.model.module, state["weights"], (features,))


def _plain(config: maml.MAML.Config) -> None:
    """Refuses the options of `maml` that the library has nothing for."""
    if config.learned_rates or config.shared_head:
        raise ValueError(
            "learn2learn has neither learned_rates nor shared_head; `maml` and `anil` have"
        )


def _stacked(tasks: Sequence[Statistics]) -> Statistics:
    """The statistics (F,) of B tasks as (B, F)."""
    return [
        (torch.stack([mean for mean, _ in layer]), torch.stack([var for _, var in layer]))
        for layer in zip(*tasks, strict=True)
    ]
