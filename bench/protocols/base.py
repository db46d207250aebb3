"""What a protocol is. Read this to write one.

A *protocol* decides what a suite's settings mean: what an episode is, how a learner is asked, how
its answers are scored, and what guessing would get. The harness asks the protocol and nothing else,
so that a protocol can come from any package. It is a subclass of `Protocol`, registered in the
entry-point group ``bench.protocols``::

    [project.entry-points."bench.protocols"]
    regression = "my_package.regression:Regression"

A suite names it (``protocol = "regression"``), and a learner takes part by having the name among
its `bench.api.Learner.protocols`. On the way from a suite file to a stored result a protocol is
asked, in this order:

1. *the suite file*: `setting` and `keys` are pydantic models of what it may say; wrong values are
   explained with their key. `needs` and `allows` name those keys about images that apply;
2. *the data*: `source` is the kind of dataset that it goes with. `load`, `split` and `pool` make
   what each phase draws from, a `bench.episodes.pools.Pool`; `examine` says what a user should know
   of it, `check_setting` proves that there is enough. The defaults are for a source that generates
   its episodes, and is a pool itself;
3. *the tasks*: `task` is a setting's, `shared` what its trainings are made for, `cut_down` what is
   left of a learner's wish where the data has less;
4. *meta-training*: a pool draws and builds batches; `examples` counts them, `validation_task` says
   what meta-validation asks, `rank` which weights are best, `at_chance` what is worth a warning;
5. *the meta-test*: `ask` puts a batch to a learner, `mark` judges its answers on the device,
   `scores` makes numbers per episode of them, `summarise` metrics with intervals and warnings,
   `picture` something to look at. `measure` is what learners are ranked by; it is stored with each
   result, so that a report needs no protocol;
6. *the cost*: `timed` lists what is timed, `stand_in` is a batch to estimate with;
7. *audits and* ``bench check``: `audit_task` is a small task, `view` and the methods below it say
   which checks apply; the defaults say that few do.

Only what is abstract must be written: `setting`, `source`, `task`, `ask`, `mark`, `measure`,
`describe` and `describe_task`. A batch is whatever the pool builds, a dataclass with a method
`to` for devices; a learner is given it in `loss`, and in a test only what `ask` hands over:
protect the answers there.

Letters in shapes: ``B`` episodes, ``Q`` answers of an episode, ``E`` episodes of a bank.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.api import Learner, TaskSpec
from bench.api.dataset import DataFolders, Notify
from bench.episodes.banks import Bank, training_batch, typical
from bench.episodes.pools import Batch, Pool
from bench.protocols.answers import Answer, Scores, Summary, Timed, interval
from bench.protocols.settings import Keys, Setting
from bench.store.records import Measure

SettingT = TypeVar("SettingT", bound=Setting)
BatchT = TypeVar("BatchT", bound=Batch)

Phase = Literal["train", "val", "test"]


class Protocol(ABC, Generic[SettingT, BatchT]):
    """A protocol. See the module for what is asked when."""

    name: ClassVar[str]
    """As suites and learners write it; that of its entry point."""
    description: ClassVar[str]
    """One sentence, for `bench list protocols`."""

    def __str__(self) -> str:
        return self.name

    # -- the suite file ---------------------------------------------------------------------------

    setting: type[SettingT]
    """The model of ``[settings.NAME]``."""
    keys: type[Keys] = Keys
    """The model of what it adds to the top of a suite file."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Those of ``image_size``, ``split`` and ``rotations`` that a suite has to state."""
    allows: ClassVar[tuple[str, ...]] = ()
    """Those of them that it may state."""

    @abstractmethod
    def describe(self, setting: SettingT) -> str:
        """A setting in a line: ``5-way, 1-shot, 15 queries per class``."""

    @abstractmethod
    def describe_task(self, task: TaskSpec) -> str:
        """A training's task in few words: ``5-way 1-shot``."""

    def describe_keys(self, keys: Any) -> dict[str, str]:
        """What `keys` say, for `bench show`.

        Args:
            keys: the suite, which has them as attributes.
        """
        return {}

    def requirements(self, setting: SettingT) -> dict[str, Any]:
        """What a setting needs of the data, for `bench check`."""
        return setting.own_keys()

    # -- the data ---------------------------------------------------------------------------------

    source: ClassVar[type[Any]]
    """The class of datasets that it goes with."""
    about: ClassVar[str] = "a dataset of its own"
    """What `source` is, in words: ``images``."""
    transfers: ClassVar[bool] = False
    """Whether the meta-test may be on other data than meta-training; see `test_pool`."""
    folders: ClassVar[bool] = False
    """Whether it goes with a folder of images, which becomes a
    `bench.api.dataset.DatasetSource`."""

    def load(self, source: Any, image_size: int, folders: DataFolders, notify: Notify) -> Any:
        """The data behind a source, with its identity as the attribute ``content``.

        Raises:
            BenchError: data missing or damaged.
        """
        return source

    def split(self, source: Any, name: str, data: Any) -> Any:
        """What belongs to which phase, proven sound.

        Raises:
            BenchError: where there is no such split, or it is not sound.
        """
        return None

    def examine(self, data: Any, split: Any) -> list[str]:
        """What the user should know of the data, once, when a run is planned.

        Raises:
            BenchError: the data cannot be tested on as it is split.
        """
        return []

    def pool(self, data: Any, split: Any, phase: Phase, rotations: bool) -> Pool:
        """What a phase draws its episodes from."""
        pool: Pool = data
        return pool

    def count(self, pool: Any) -> dict[str, int]:
        """What a phase has, for `bench check`; nothing where episodes are generated."""
        return {}

    def check_keys(self, keys: Any, pool: Any) -> None:
        """Raises a `BenchError`, beginning with the key, where `keys` do not fit the data."""

    def check_setting(self, setting: SettingT, train: Any, val: Any, test: Any) -> None:
        """Raises a `BenchError` unless each phase has what the setting's episodes need."""

    # -- the tasks --------------------------------------------------------------------------------

    @abstractmethod
    def task(self, setting: SettingT, train: Any, test: Any, episodes_per_update: int) -> TaskSpec:
        """The task of a test setting.

        Args:
            setting: the setting.
            train: what meta-training draws from.
            test: what the meta-test draws from.
            episodes_per_update: of learners that do not ask for another number.
        """

    def shared(self, test: TaskSpec, keys: Any) -> TaskSpec:
        """The task that a learner is told it will be tested on: where it is the same for two
        settings, they share a training.

        Args:
            test: a setting's.
            keys: the suite, which has the keys as attributes.
        """
        return test

    def cut_down(self, asked: TaskSpec, train: Any, val: Any) -> TaskSpec:
        """What a learner asks for, cut down to the data of meta-training and -validation."""
        return asked

    def check_task(self, task: TaskSpec) -> None:
        """Raises a `ValueError` for a task that this protocol cannot draw."""

    # -- meta-training ----------------------------------------------------------------------------

    def examples(self, task: TaskSpec) -> int:
        """What an episode counts for in a budget of examples, at most."""
        return task.examples_per_episode

    def validation_task(self, task: TaskSpec, pool: Any) -> TaskSpec:
        """A training's task as meta-validation asks it: without ranges."""
        return task.but(shots=task.shot_range[1], items=task.item_range[1])

    def rank(self, means: Mapping[str, float]) -> tuple[float, ...]:
        """Which of two meta-validations is better: the larger tuple. NaN ranks last.

        Args:
            means: by metric, see `Scores.means`.
        """
        measure = self.measure(None, None)
        value = means[measure.metric] * (1 if measure.higher_is_better else -1)
        return (value if math.isfinite(value) else -math.inf,)

    def at_chance(self, means: Mapping[str, float], task: TaskSpec, episodes: int) -> str | None:
        """What a reader should know where the best meta-validation is no better than guessing.

        Args:
            means: by metric, see `Scores.means`.
            task: of the meta-validation.
            episodes: of the meta-validation.
        """
        return None

    # -- the meta-test ----------------------------------------------------------------------------

    inputs_per_image: ClassVar[int] = 1
    """Inputs, as `Pool.inputs` counts them, that take as much memory as an image; it decides how
    many episodes are answered together."""

    @abstractmethod
    def ask(self, learner: Learner, batch: BatchT) -> Answer:
        """Puts a batch to a learner, in the order that keeps the answers secret."""

    @abstractmethod
    def mark(self, logits: Tensor, batch: BatchT) -> dict[str, Tensor]:
        """What there is to know of the answers to a batch, each (B, ...), on the device.

        Args:
            logits: of the shape that `ask` expects, float32 and finite.
            batch: what was asked.
        """

    def scores(self, marks: Mapping[str, Tensor], task: TaskSpec) -> Scores:
        """Numbers per episode. Default: every mark is one, or the mean of its row.

        Args:
            marks: what `mark` returned, of all episodes of a bank: (E, ...), on the CPU.
            task: the bank's.
        """
        return Scores({k: v.double().view(len(v), -1).mean(1).numpy() for k, v in marks.items()})

    def summarise(self, scores: Any, task: TaskSpec) -> Summary:
        """Metrics with intervals over episodes, and what a reader of the result should know."""
        return Summary({k: interval(v) for k, v in scores.values.items() if v.ndim == 1})

    def picture(self, learner: Learner, bank: Bank) -> dict[str, NDArray[np.float32]] | None:
        """Arrays in [0, 1] to show how a learner answers, stored as ``weightings.npz``; see
        `bench.store.files.Weightings`. None: nothing to show.

        Args:
            learner: in ``eval()``.
            bank: what it is tested on.

        Raises:
            ContractError: it shows something of another shape.
        """
        return None

    def kept(self, logits: Tensor, batch: BatchT) -> dict[str, Tensor]:
        """What of the answers is stored where a run is asked to keep them: ``label`` and
        ``choice`` (B, Q), classes in [0, ways), and ``confidence`` (B, Q), the probability of the
        choice. Empty where answers are no classes.

        Args:
            logits: (B, Q, N).
            batch: what was asked.
        """
        return {}

    def named_classes(self, bank: Bank) -> tuple[NDArray[np.int64], list[str]] | None:
        """The class behind each label of each episode, (E, N), and the names of the classes; None
        where answers are no classes."""
        return None

    def shown(self, batch: BatchT) -> dict[str, Tensor]:
        """Images to show of episodes: ``support_x`` (B, S, C, H, W), ``support_y`` (B, S) and
        ``query_x`` (B, Q, C, H, W). Empty where there are none."""
        return {}

    @abstractmethod
    def measure(self, task: TaskSpec | None, pool: Any) -> Measure:
        """What learners are ranked by.

        Args:
            task: of a setting, with which chance may be stated; None: none is asked about.
            pool: what its episodes are drawn from.
        """

    # -- the cost ---------------------------------------------------------------------------------

    def timed(self, learner: Learner, batch: BatchT) -> Iterator[tuple[str, Timed]]:
        """What is timed of answering one episode; see `bench.store.records.TimingResult`.

        Default: ``answer``, all of it.
        """
        yield "answer", Timed(lambda: self.ask(learner, batch))

    def stand_in(self, source: Any, task: TaskSpec, seed: int) -> Any:
        """A batch of a task's size to measure time with; data need not be read.

        Args:
            source: the dataset.
            task: `TaskSpec.episodes_per_update` says how many episodes.
            seed: the training's.
        """
        return training_batch(source, typical(task), seed, 0)

    # -- audits and checks ------------------------------------------------------------------------

    view: ClassVar[str] = ""
    """``predict``: a batch is `bench.api.Episodes`, answered by `adapt` and `predict`;
    ``unroll``: it is a `bench.api.Stream`. Checks of these methods apply there only."""
    inputs: ClassVar[tuple[str, ...]] = ()
    """The names of the inputs in a batch."""
    revealed: ClassVar[tuple[str, ...]] = ()
    """Where an answer must not depend on what comes later: the labels that are revealed step by
    step."""
    in_time: ClassVar[bool] = False
    """Whether a batch has steps, (B, T, ...) all along, and inputs ``x``."""
    trained_for: ClassVar[str] = "in another protocol"
    """What an audit says of weights that were trained in this one: "it was trained ..."."""
    audit_room: ClassVar[int] = 160
    """Inputs, as `audit_task` counts them, that the episodes of an audit have together, about."""

    def audit_task(self, task: TaskSpec, pool: Any, learner: type[Learner]) -> tuple[TaskSpec, int]:
        """The task that trained weights are audited on, and the inputs that answering an episode of
        it takes.

        Args:
            task: the training's, of a range the middle.
            pool: what meta-validation draws from.
            learner: whose weights they are.
        """
        task = self.validation_task(task, pool)
        return task, pool.inputs(task)

    def relabelled(self, batch: BatchT, shift: int) -> BatchT | None:
        """The same batch with other right answers for each `shift` of 0 and 1; None: it cannot be
        said."""
        return None

    def support(self, learner: type[Learner], batch: BatchT) -> Any:
        """`bench.api.Episodes` with a support set that a batch makes; None: there is none."""
        return None

    def knowable(self, batch: BatchT) -> tuple[Tensor, Tensor] | None:
        """Labels (B, Q), and (B, Q) bool which of them can be known; None: they are no classes."""
        return None

    def tiny_task(self, ways: int = 5) -> TaskSpec | None:
        """A task of made-up data on which `bench check` trains within seconds; None: it has no
        checks in this protocol.

        Args:
            ways: classes, where there are any.
        """
        return None

    def tiny_batch(self, task: TaskSpec, episodes: int, seed: int, training: bool) -> Any:
        """A batch of `tiny_task`, or of one with other sizes.

        Args:
            task: with the fewest shots or items that it allows.
            episodes: B.
            seed: the same batch for the same seed.
            training: as meta-training gives it: with class numbers.
        """
        raise NotImplementedError

    def tiny_cut(self, asked: TaskSpec, task: TaskSpec) -> TaskSpec:
        """What a learner asks for to be tested on a tiny task, cut down to what there is."""
        return asked

    def usual_tasks(self) -> list[TaskSpec]:
        """Tasks of the size of real ones that `Learner.training_task` is tried with."""
        return []

    def other_sizes(self) -> list[tuple[TaskSpec, int]]:
        """Tiny tasks of other sizes than `tiny_task`, and how many episodes of each to answer."""
        return []
