"""What learners are ranked by, and how results of a protocol are read and written.

The only file of the read side that knows protocols. A `bench.store.records.Measure` is stored with
each result; from it follow signs, headings and words (`Metric`), so that a plugin's protocol makes
proper boards, sentences and figures. `KINDS` adds what the built-in protocols have besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from bench.results.formats import PRESENTATIONS, amount, count, ordinal, percent
from bench.store.records import Measure

if TYPE_CHECKING:
    from bench.results.boards import Board, Entry
    from bench.results.rows import CellRow


@dataclass(frozen=True)
class Metric:
    """A measure, and how it is headed and written."""

    measure: Measure

    @property
    def key(self) -> str:
        """Of `bench.store.records.CellResult.metrics`, and a column of `load_results`."""
        return self.measure.metric

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.measure.higher_is_better else -1

    @property
    def in_percent(self) -> bool:
        """Stored as a fraction, written times 100."""
        return self.measure.unit == "percent"

    @property
    def scale(self) -> int:
        """What a stored figure is multiplied by where it is shown."""
        return 100 if self.in_percent else 1

    @property
    def heading(self) -> str:
        """Of a column: ``accuracy, %``, ``wrong bits``."""
        return f"{self.measure.heading}, %" if self.in_percent else self.measure.heading

    @property
    def title(self) -> str:
        """At the beginning of a sentence: ``Accuracy``."""
        return self.measure.heading[:1].upper() + self.measure.heading[1:]

    @property
    def suffix(self) -> str:
        """After a score in a sentence: ``%``, ``wrong bits``."""
        return "%" if self.in_percent else self.measure.heading

    @property
    def units(self) -> str:
        """What a difference is counted in: ``points of accuracy``, ``wrong bits``."""
        names = {"percent": "points of {}", "count": "{}", "number": "units of {}"}
        return names[self.measure.unit].format(self.measure.heading)

    @property
    def short_units(self) -> str:
        """The same where it is plain of what: ``points``, ``bits``."""
        names = {"percent": "points", "count": self.measure.heading.split(" ")[-1]}
        return names.get(self.measure.unit, self.units)

    @property
    def deviation_units(self) -> str:
        """What a deviation between seeds is in: ``points of accuracy``, ``bits``."""
        return self.short_units if self.measure.unit == "count" else self.units

    @property
    def extreme(self) -> str:
        """What the best score is: ``highest``, ``lowest``."""
        return "highest" if self.sign > 0 else "lowest"

    @property
    def best(self) -> str:
        """``the highest accuracy``, ``the fewest wrong bits``."""
        counted = {"highest": "most", "lowest": "fewest"}
        word = counted[self.extreme] if self.measure.unit == "count" else self.extreme
        return f"the {word} {self.measure.heading}"

    def axis(self, episode: str) -> str:
        """The label of a figure's axis: ``accuracy, %``, ``wrong bits per sequence``."""
        return f"{self.heading} per {episode}" if self.measure.unit == "count" else self.heading

    def write(self, mean: float | None, ci95: float | None = None) -> str:
        """A score with its half-width: ``98.25 ± 0.11``, ``0.042 ± 0.013``."""
        writers = {"percent": percent, "count": amount, "number": amount}
        return writers[self.measure.unit](mean, ci95)

    def write_difference(self, value: float, sign: str = "") -> str:
        """A difference with a fixed number of decimals: ``+1.23``, ``-0.042``."""
        return f"{self.scale * value:{sign}.{2 if self.in_percent else 3}f}"


@dataclass(frozen=True)
class Also:
    """A further column beside the score."""

    heading: str
    short_heading: str
    """In the terminal."""
    value: Callable[[Entry], float | None]
    write: Callable[[float | None], str]


@dataclass(frozen=True)
class Series:
    """A score for each place in an episode, `bench.results.rows.CellRow.by_presentation`."""

    heading: str
    """Above the headings of its columns."""
    shown: Sequence[int]
    """The places that tables show."""
    name: Callable[[int], str]
    """Of a place."""


PHASES = {
    "adapt": "adapt",
    "first_answer": "first answer",
    "further_query": "further query",
    "step": "step",
}
"""Of `bench.store.records.TimingResult`, as tables head them."""

BRIEF_PHASES = {"adapt": "adapt", "further_query": "query", "step": "step"}
"""Those that the terminal shows, and their headings there."""


@dataclass(frozen=True)
class Kind:
    """How results of a protocol are read: what ranks its learners, and the words for it."""

    metric: Metric
    episode: str = "episode"
    """What learners are asked; an *s* makes more of them."""
    answer: str = "answer"
    example: str = "example"
    """What meta-training is counted in."""
    classes: bool = False
    """It is about classes, so that ways and encoders say something of a learner."""
    also: Sequence[Also] = ()
    series: Series | None = None
    phases: Sequence[str] = ()
    """Keys of `PHASES` that are timed; empty where that is not known."""
    cost_notes: Sequence[str] = ()
    """Below a table of costs."""
    settings: Literal["ways and shots", "items"] | None = None
    """What the settings of a suite differ in, where a figure shows the scores over it."""
    sizes: Sequence[str] = ("ways", "items")
    """Fields of a task that say how large it is."""
    describe: Callable[[Board], list[str]] = lambda board: []
    """What a board's task is, in phrases."""
    published_keys: Callable[[Board], list[str]] = lambda board: []
    """By which `bench.report.published` knows the figures of a board."""

    @property
    def episodes(self) -> str:
        """Several."""
        return f"{self.episode}s"

    @property
    def answers(self) -> str:
        """Several."""
        return f"{self.answer}s"

    @property
    def examples(self) -> str:
        """Several."""
        return f"{self.example}s"


def kind_of(protocol: str | None, measure: Measure | None = None) -> Kind:
    """How results are read.

    Args:
        protocol: of the result; an old one may name none.
        measure: as stored with it. None, or of a built-in protocol: `KINDS` knows it.
    """
    built_in = KINDS.get(protocol or "kshot")
    if built_in is None:
        return _of_plugin(protocol or "", measure or ACCURACY.measure)
    if measure is None or measure.metric == built_in.metric.key:
        return built_in
    return _with_measure(protocol or "kshot", measure)


@cache
def _of_plugin(protocol: str, measure: Measure) -> Kind:
    return Kind(Metric(measure), describe=lambda board: _described(protocol, board))


@cache
def _with_measure(protocol: str, measure: Measure) -> Kind:
    return replace(KINDS[protocol], metric=Metric(measure))


# -- what a board's task is -----------------------------------------------------------------------


def items_text(items: Any) -> str:
    """``1-20`` for ``[1, 20]``."""
    if isinstance(items, list):
        return "-".join(str(number) for number in items)
    return "?" if items is None else str(items)


def _described(protocol: str, board: Board) -> list[str]:
    """Of a protocol that says nothing but its measure."""
    measure, row = board.metric.measure, board.cells[0]
    phrases = [f"{protocol[:1].upper()}{protocol[1:]}" if protocol else "A protocol without a name"]
    phrases += _drawn_from(row)
    for word, value in (("chance", measure.chance), ("perfect", measure.perfect)):
        if value is not None:
            phrases.append(f"{word} is {board.metric.write(value)} {board.metric.suffix}")
    return [*phrases, f"the {board.metric.extreme} {measure.heading} is the best"]


def _kshot(board: Board) -> list[str]:
    task = board.cells[0].task
    queries = f"{task.get('queries', '?')} queries per class"
    return [f"{board.ways}-way {task.get('shots', '?')}-shot, {queries}", *_images(board)]


def _online(board: Board) -> list[str]:
    length = board.cells[0].task.get("length", "?")
    phrases = [f"Online, {board.ways}-way, {length} examples an episode", *_images(board)]
    if board.ceiling is not None:
        phrases.append(
            f"an honest learner's first presentation is at most {percent(board.ceiling)} %"
        )
    return phrases


def _images(board: Board) -> list[str]:
    """Where classes are from, and what guessing gets."""
    row = board.cells[0]
    phrases = _drawn_from(row)
    if row.test_rotations is not None:
        turned = "include rotations by 90 degrees" if row.test_rotations else "upright only"
        phrases.append(f"test classes {turned}")
    if board.ways:
        phrases.append(f"chance is {100 / board.ways:.3g} %")
    return phrases


def _drawn_from(row: CellRow) -> list[str]:
    if not row.dataset:
        return []
    if row.test_dataset is None:
        return [f"on {row.dataset}, split {row.split}"]
    part = "all classes" if row.test_split == "all" else f"split {row.test_split}"
    return [
        f"learned on {row.dataset}, split {row.split}", f"tested on {row.test_dataset}, {part}"
    ]  # fmt: skip


def _sequence(board: Board) -> list[str]:
    trained = {items_text(row.training_items) for row in board.cells} - {"?"}
    row = board.cells[0]
    phrases = [f"Memory probe {row.dataset}, {row.items} items a sequence"]
    if trained:
        phrases.append(f"meta-trained on {' or '.join(sorted(trained))} items")
    asked = {bits for entry in board.entries if (bits := entry.common(lambda row: row.bits))}
    if len(asked) == 1:
        bits = asked.pop()
        phrases.append(f"{bits:,} bits are asked for, and chance is {bits / 2:,g} wrong ones")
    return phrases


def _regression(board: Board) -> list[str]:
    task, row = board.cells[0].task, board.cells[0]
    if length := task.get("length"):
        points = f"{length} points, each predicted before it is told"
    else:
        points = f"{task.get('shots', '?')} points, {task.get('queries', '?')} asked for"
    return [f"Regression of {row.dataset}, {points}", "the lowest mean squared error is the best"]


def _presentations(board: Board) -> list[str]:
    length = board.cells[0].task.get("length")
    times = length // (board.ways or 1) if isinstance(length, int) else 0
    return [ordinal(k + 1) for k in range(times)]


def _ways_and_shots(board: Board) -> list[str]:
    return [f"{board.ways}way{board.cells[0].task.get('shots')}shot"]


# -- the built-in protocols -----------------------------------------------------------------------

ACCURACY = Metric(
    Measure(metric="accuracy", heading="accuracy", higher_is_better=True, unit="percent", perfect=1)
)
WRONG_BITS = Metric(
    Measure(
        metric="bit_errors", heading="wrong bits", higher_is_better=False, unit="count", perfect=0
    )
)
SQUARED_ERROR = Metric(
    Measure(metric="mse", heading="mean squared error", higher_is_better=False, unit="number")
)

_CLASSES = Kind(
    metric=ACCURACY,
    classes=True,
    phases=("adapt", "first_answer", "further_query"),
    cost_notes=(
        "medians, one episode at a time",
        "first answer: adapt and one query",
        "episodes/s: adapt and all queries, in batches",
    ),
    sizes=("ways",),
)


def _beside(heading: str, short: str, metric: str) -> Also:
    """A column of a metric."""
    return Also(heading, short, lambda e: e.mean(lambda row: row.score(metric).mean), amount)


_NUMBERS = Kind(
    metric=SQUARED_ERROR,
    episode="function",
    answer="number",
    example="point",
    also=(
        _beside("best constant", "constant", "constant_mse"),
        _beside("best answer", "best", "oracle_mse"),
        _beside("nats per point", "nats", "log_likelihood"),
        _beside("behind the best answer, nats", "nats behind", "nats_behind_oracle"),
    ),
    phases=("adapt", "first_answer", "further_query"),
    cost_notes=("medians, one function at a time", "functions/s: in batches"),
    sizes=(),
    describe=_regression,
)

KINDS: dict[str, Kind] = {
    "regression": _NUMBERS,
    "online-regression": replace(_NUMBERS, phases=(*_NUMBERS.phases, "step")),
    "kshot": replace(
        _CLASSES,
        settings="ways and shots",
        describe=_kshot,
        published_keys=_ways_and_shots,
    ),
    "online": replace(
        _CLASSES,
        series=Series("by presentation", PRESENTATIONS, ordinal),
        describe=_online,
        published_keys=_presentations,
    ),
    "sequence": Kind(
        metric=WRONG_BITS,
        episode="sequence",
        answer="bit",
        example="sequence",
        also=(
            Also("of", "of", lambda entry: entry.common(lambda row: row.bits), count),
            Also("right, %", "right %", lambda entry: entry.score(ACCURACY), percent),
        ),
        phases=("step",),
        cost_notes=(
            "medians, one sequence at a time",
            "training update: of a middle length",
            "sequences/s: in batches",
        ),
        settings="items",
        sizes=("items",),
        describe=_sequence,
    ),
}
"""By protocol."""
