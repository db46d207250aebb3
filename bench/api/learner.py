"""What every learner is: `adapt` and `predict`, and the defaults around them.

Letters in shapes: see `bench.api`.
"""

from __future__ import annotations

import copy
import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.api.numbers import Answered, answer_loss, joined, not_knowing
from bench.api.tasks import Episodes, Protocol, Stream, TaskSpec

State = Any
"""What `Learner.adapt` returns: tensors with leading dimension ``B``, alone or nested in tuples,
NamedTuples, lists and dicts. Plain numbers and None may stand beside them."""

MetaOptimizer = (
    torch.optim.Optimizer | tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]
)
"""An optimizer, alone or with a scheduler that follows the budget (`Learner.optimizer`)."""


def option(default: Any, meaning: str, *, file: bool | None = None) -> Any:
    """A documented hyper-parameter: a field of a learner's `Config` dataclass.

    Its type says how it is typed on the command line: bool, int, float, str, `pathlib.Path`,
    Literal, an enum, None, and tuples and lists of these.

    Args:
        default: the value used when the user gives none; of a list or a dict, each Config has a
            copy.
        meaning: one sentence, with the unit and, where there is one, the paper's symbol.
        file: whether it names a file that the learner reads, as weights that it starts from. Then
            the file's content decides which result it is, wherever the file lies, and a run whose
            file is missing does not start. Default: a Path to a file that is there is one. False:
            only the text counts.
    """
    about = {"meaning": meaning, "file": file}
    if isinstance(default, list | dict | set):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=about)
    return dataclasses.field(default=default, metadata=about)


def in_regression(**options: Any) -> dict[Protocol, dict[str, Any]]:
    """`Learner.protocol_defaults` of a learner whose options have other defaults in regression, the
    same ones with all points at once and one at a time."""
    return {protocol: dict(options) for protocol in ("regression", "online-regression")}


def map_tensors(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Applies `function` to every tensor of a nested state; keeps the nesting and plain numbers.

    Raises:
        TypeError: where the state holds something that is no tensor and no container.
    """
    if isinstance(state, Tensor):
        return function(state)
    if state is None or isinstance(state, int | float):
        return state
    if isinstance(state, Mapping):
        return {key: map_tensors(function, value) for key, value in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):  # a NamedTuple
        return type(state)(*(map_tensors(function, value) for value in state))
    if isinstance(state, tuple | list):
        return type(state)(map_tensors(function, value) for value in state)
    raise TypeError(
        f"a state holds tensors in tuples, NamedTuples, lists and dicts, not {type(state).__name__}"
    )


class Learner(nn.Module):
    """A meta-learner. Subclasses write `adapt` and `predict`, and state family and contract.

    The harness builds it with the task that `training_task` asks for, meta-trains it by
    minimising `loss`, and meta-tests it in ``eval()`` mode under ``no_grad`` (a learner that needs
    gradients to adapt re-enables them with ``torch.enable_grad()``). Query labels reach it through
    `loss` only.
    """

    family: ClassVar[str]
    """"model-based", "metric-based", "optimization-based", or one of your own."""
    contract: ClassVar[int]
    """The `bench.api.CONTRACT_VERSION` it was written for. State it; `Learner` has none."""
    references: ClassVar[tuple[str, ...]] = ()
    """The papers it implements."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named configurations, as ``{"paper": {"lr": 1e-4}}``; asked for as ``'NAME[paper]'``."""
    protocol_defaults: ClassVar[Mapping[Protocol, Mapping[str, Any]]] = {}
    """Defaults of options that are other ones in some protocol than those of `Config`, as
    ``{"regression": {"inner_lr": 0.01}}``; see `in_regression`. What the user asks
    for goes before them."""
    trained: ClassVar[bool] = True
    """False for a learner without anything to meta-train."""
    protocols: ClassVar[tuple[Protocol, ...]] = ("kshot", "online")
    """Where it can take part."""
    order_invariant: ClassVar[bool] = False
    """True for a learner that promises the same answers for any order of the support set; checked
    by `bench check`."""
    label_equivariant: ClassVar[bool] = False
    """True for one that promises that renaming the labels renames its answers, and no more."""

    transductive: bool = False
    """True when a query's answer depends on the other queries. Shown beside every result."""
    max_grad_norm: float | None = None
    """Meta-gradients are clipped to this norm; None: not at all."""

    @dataclass(frozen=True)
    class Config:
        """The hyper-parameters: one documented `option` each."""

    def __init__(self, config: Any, task: TaskSpec) -> None:
        super().__init__()
        self.config = config
        self.task = task

    # -- to be written ----------------------------------------------------------------------------

    @abstractmethod
    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Learns the task: prototypes, fast weights, memory contents, cached keys.

        Args:
            support_x: (B, S, *input_shape), S >= 1, in random order.
            support_y: (B, S) in [0, ways). In the online view some classes may be absent. In
                regression numbers, (B, S, E) float32.
            ways: classes in these episodes; may differ from the number trained with. In regression
                1.
        """
        raise NotImplementedError

    @abstractmethod
    def predict(self, state: State, query_x: Tensor) -> Answered:
        """Answers every query on its own.

        Args:
            state: what `adapt` returned.
            query_x: (B, Q, *input_shape).

        Returns:
            Logits (B, Q, ways); finite, of a learner with an online view also for classes that the
            support set lacks. In regression the mean (B, Q, E), or a `bench.api.Normal`.
        """
        raise NotImplementedError

    # -- to be overridden where the default does not fit ------------------------------------------

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Answered:
        """The online view: an answer at every step, each from the steps before it.

        The default conditions on every prefix in turn, which is correct for any learner and slow;
        at step 0, where nothing was seen, it answers uniformly, and in regression with 0.

        Args:
            x: (B, T, *input_shape).
            y: (B, T), in regression (B, T, E); ``y[:, t]`` may influence the answers after step t
                only.
            ways: classes in these episodes.

        Returns:
            Logits (B, T, ways); in regression as `predict`, with T for Q.
        """
        answers = [
            self.predict(self.adapt(x[:, :t], y[:, :t], ways), x[:, t : t + 1])
            for t in range(1, x.shape[1])
        ]
        if not answers:
            return x.new_zeros(len(x), 1, self.task.outputs or ways)
        return joined([not_knowing(answers[0]), *answers])

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The scalar that meta-training minimises. May be a surrogate.

        The default is `bench.api.answer_loss` of the queries, or of every step of a stream: the
        cross-entropy; in regression the squared error, or the likelihood.
        """
        if isinstance(batch, Stream):
            return answer_loss(self.unroll(batch.x, batch.y, batch.ways), batch.y)
        state = self.adapt(batch.support_x, batch.support_y, batch.ways)
        return answer_loss(self.predict(state, batch.query_x), batch.query_y)

    def optimizer(self, updates: int) -> MetaOptimizer:
        """The meta-optimizer, alone or with a scheduler.

        The scheduler follows the fraction of the budget that is spent: it has taken that fraction
        of `updates` steps after each update, all of them at the end, and never more. Where updates
        limit the budget, or images of which each update sees as many, that is one step per update.

        Args:
            updates: steps of the scheduler until the budget is spent; about the number of updates.
        """
        return torch.optim.Adam(self.parameters(), lr=1e-3)

    @classmethod
    def training_task(cls, config: Any, task: TaskSpec) -> TaskSpec:
        """How the learner wants to be meta-trained to be tested on `task`.

        More ways, a range of shots, another number of queries or of episodes per update. Two test
        tasks for which the answer is the same share one training. Default: as tested.
        """
        return task

    @classmethod
    def published_updates(cls, config: Any, task: TaskSpec) -> int | None:
        """Meta-training updates in the paper's own schedule (``--budget paper``), if it has one."""
        return None

    @classmethod
    def why_not_compiled(cls, config: Any, task: TaskSpec) -> str | None:
        """Why ``bench run --compile`` cannot compile its update on a training task; None: it can.

        It can where `loss` makes the same operations for every batch of the same shapes: no number
        of a tensor decides anything in Python, nothing is drawn at random, and no buffer changes.
        Then it is recorded once for each shape, with its gradient, in ``train()`` mode.
        `bench.api.being_compiled` says when.
        """
        return "it has no compiled update"

    @classmethod
    def bank_share(cls, config: Any, task: TaskSpec, episodes: int) -> int:
        """How many of the bank's `episodes` it answers. A learner for which a task is dear may
        answer the first part only; the harness asks for at least 200."""
        return episodes

    # -- to be called -----------------------------------------------------------------------------

    def check_ways(self, ways: int) -> None:
        """For a learner whose output has one place for each way it was built for.

        Raises:
            ValueError: for more ways than that.
        """
        if ways > self.task.ways:
            raise ValueError(
                f"this learner's output was built for {self.task.ways} ways and cannot answer "
                f"{ways}; meta-train it with at least {ways} ways"
            )
