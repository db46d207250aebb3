"""What the learners of a board are called, so that no two share a name, and where and how they were
trained or timed, where that is not the same for all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.results.formats import natural
from bench.results.rows import CellRow, Place, device_kind

if TYPE_CHECKING:
    from bench.results.boards import Board, Entry

MOST_OPTIONS = 3
"""Options that a label tells."""


def label_of(cells: Sequence[CellRow], among: Sequence[CellRow]) -> str:
    """The learner, with device and precision where the cells that it stands among have several.

    Which machines a device was says `machines_note`: in the names no sentence could be read.
    """
    first = cells[0]
    words = [first.learner]
    if len({row.device for row in among}) > 1:
        words.append(first.device)
    if len({row.precision for row in among}) > 1:
        words.append(first.precision)
    return " · ".join(words)


def _models(rows: Iterable[CellRow]) -> dict[str, set[str]]:
    """By device, the machines that cells were tested on."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.machine and row.machine.device_name:
            found[row.device].add(row.machine.device_name)
    return found


def devices(rows: Collection[CellRow]) -> list[str]:
    """Where cells were tested or timed, ``cuda:0`` and not ``cuda``; the kind only where nothing
    says more."""
    found = {device for row in rows for device in row.timings}
    found |= {row.place for row in rows if row.machine or row.place != row.device_kind}
    kinds = {device_kind(device) for device in found}
    return sorted(found | {row.device_kind for row in rows} - kinds, key=natural)


def places(rows: Iterable[CellRow]) -> list[Place]:
    """The devices that finished cells were timed on; one for each model where a device of one name
    was several."""
    models: dict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        for device, timing in row.timings.items():
            models[device].add(timing.model)
    return [
        Place(device, model)
        for device in sorted(models, key=natural)
        for model in (sorted(filter(None, models[device])) if len(models[device]) > 1 else [None])
    ]


class TrainedAt(NamedTuple):
    """Where a meta-training was: only times of one such place compare."""

    device: str
    """The kind: ``cpu``, ``cuda``."""
    model: str | None
    threads: int | None
    """Of the CPU."""

    @property
    def label(self) -> str:
        """``cuda (NVIDIA L4) with 1 thread``, as much of it as is known."""
        model = f" ({self.model})" if self.model else ""
        return f"{self.device}{model}{f' with {_threads([self.threads])}' if self.threads else ''}"


def trained_at(entry: Entry) -> TrainedAt | None:
    """Where all finished seeds of a learner were trained; None where they differ, and of what has
    nothing to train."""
    if entry.untrained:
        return None
    return entry.common(
        lambda row: TrainedAt(row.device_kind, row.device_name, row.training_threads)
    )


def notes_of(board: Board) -> list[str]:
    """What stands below a board's table: other machines, other numbers of threads."""
    return [note for note in (machines_note(board), threads_note(board)) if note]


def machines_note(board: Board) -> str:
    """Which learners ran on other machines than most, where a device of one name was several's.
    Nothing where it was one."""
    found: dict[str, dict[tuple[str, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in board.entries:
        for device, models in _models(entry.done).items():
            found[device][tuple(sorted(models, key=natural))].append(entry.label)
    texts = []
    for device in sorted(found, key=natural):
        machines = found[device]
        usual = max(machines, key=lambda own: (len(machines[own]), own))
        if len(machines) > 1 or len(usual) > 1:
            others = [
                f"{' and '.join(own)} of {', '.join(labels)}"
                for own, labels in sorted(machines.items())
                if own != usual
            ]
            most = f"{device} is {' and '.join(usual)}"
            texts.append(f"{most}, but {'; '.join(others)}" if others else most)
    return "; ".join(texts)


def threads_note(board: Board) -> str:
    """Which learners were trained with another number of CPU threads than most: neither weights
    nor training times compare. Nothing where all trainings on a CPU had the same."""
    threads = {
        entry: sorted({row.training_threads for row in entry.done if row.training_threads})
        for entry in board.entries
        if not entry.untrained and entry.cells[0].device == "cpu"
    }
    counted = Counter(tuple(own) for own in threads.values() if own)
    if len({number for own in counted for number in own}) < 2:
        return ""
    [(usual, _)] = counted.most_common(1)
    others: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for entry, own in threads.items():
        if own and tuple(own) != usual:
            others[tuple(own)].append(entry.label)
    texts = [f"{', '.join(labels)} with {_threads(own)}" for own, labels in sorted(others.items())]
    return f"trained with {_threads(usual)}" + (f", but {'; '.join(texts)}" if texts else "")


def _threads(numbers: Sequence[int]) -> str:
    return f"{' or '.join(map(str, numbers))} thread{'' if tuple(numbers) == (1,) else 's'}"


# -- telling apart --------------------------------------------------------------------------------


def distinct(entries: list[Entry]) -> list[Entry]:
    """The entries with what tells them apart appended to labels that would repeat."""
    same: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        same[entry.label].append(entry)
    longer = {
        entry: replace(entry, label=f"{entry.label} · {what}")
        for alike in same.values()
        if len(alike) > 1
        for entry, what in zip(alike, _tell_apart(alike), strict=True)
    }
    return [longer.get(entry, entry) for entry in entries]


def _tell_apart(entries: list[Entry]) -> list[str]:
    """The first of these that differs between all: episodes, options, code, date, folder."""
    keys = _options(entries)[:MOST_OPTIONS]
    ways: tuple[Callable[[Entry], str], ...] = (
        _episodes,
        lambda entry: ", ".join(_option(entry, key) for key in keys),
        _code,
        lambda entry: _finished(entry)[:10],
        lambda entry: _finished(entry)[:16].replace("T", " "),
    )
    for way in ways:
        words = [way(entry) if entry.done else entry.status for entry in entries]
        if all(words) and len(set(words)) == len(words):
            return words
    return [Path(entry.cells[0].path).name for entry in entries]


def _episodes(entry: Entry) -> str:
    episodes = entry.common(lambda row: row.episodes)
    return f"{episodes:,} episodes" if episodes else ""


def _code(entry: Entry) -> str:
    source = entry.common(lambda row: row.source)
    return f"code {source[:6]}" if source else ""


def _option(entry: Entry, key: str) -> str:
    config = entry.cells[0].config
    return f"{key}={config[key]}" if key in config else f"no {key}"


def _options(entries: list[Entry]) -> list[str]:
    """Options whose values differ between entries of one learner."""
    configs = [entry.cells[0].config for entry in entries]
    keys = dict.fromkeys(key for config in configs for key in config)
    return [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]


def _finished(entry: Entry) -> str:
    """When its last cell was; nothing where none is."""
    return max((row.finished for row in entry.done if row.finished), default="")
