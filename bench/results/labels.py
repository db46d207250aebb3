"""What the learners of a board are called, so that no two share a name, and where and how they were
trained or timed, where that is not the same for all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bench.results.formats import natural
from bench.results.rows import CellRow, Place, device_kind

if TYPE_CHECKING:
    from bench.results.boards import Board, Entry

T = TypeVar("T", int, str)

MOST_OPTIONS = 3
"""Options that a label tells."""


def label_of(cells: Sequence[CellRow], among: Sequence[CellRow]) -> str:
    """The learner, with its device where others of its cells are from another one, and with its
    precision where the cells that it stands among have several.

    All else about devices and machines is in `notes_of`: in the names no sentence could be read.
    """
    first = cells[0]
    words = [first.learner]
    own = {row.device for row in cells}
    if own != {row.device for row in among if row.learner == first.learner}:
        words.append(" and ".join(sorted(own)))
    if len({row.precision for row in among}) > 1:
        words.append(first.precision)
    return " · ".join(words)


def _models(rows: Iterable[CellRow]) -> dict[str, set[str]]:
    """By device, the machines that cells were trained on."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if model := row.model_trained_on:
            found[row.device].add(model)
    return found


def devices(rows: Collection[CellRow]) -> list[str]:
    """Where cells were at home or timed, ``cuda:0`` and not ``cuda``; the kind only where nothing
    says more."""
    found = {device for row in rows for device in row.timings}
    found |= {row.place for row in rows if row.home or row.place != row.device_kind}
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


def notes_of(board: Board) -> list[str]:
    """What stands below a board's table: other devices, other machines, other numbers of
    threads."""
    notes = devices_note(board), machines_note(board), threads_note(board)
    return [note for note in notes if note]


def devices_note(board: Board) -> str:
    """Which learners were trained on other devices than most, where that is not in their names.
    Nothing where all were trained on one."""
    trained = [entry for entry in board.entries if not entry.untrained]
    found = {entry.label: tuple(sorted({row.device for row in entry.cells})) for entry in trained}
    named = {label for label, own in found.items() if " and ".join(own) in label.split(" · ")}
    return _trained(found, lambda own: f"on {' and '.join(own)}", named)


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
    found = {
        entry.label: tuple(
            sorted(
                {
                    row.training_threads
                    for row in entry.done
                    if row.device == "cpu" and row.training_threads
                }
            )
        )
        for entry in board.entries
        if not entry.untrained
    }
    return _trained(found, lambda own: f"with {threads_in_words(own)}")


def _trained(
    found: Mapping[str, tuple[T, ...]],
    words: Callable[[tuple[T, ...]], str],
    named: Collection[str] = (),
) -> str:
    """How most were trained, and who was trained otherwise; nothing where all were alike.

    Args:
        found: by label, what is asked about; empty where it is not known.
        words: says it.
        named: labels that say it themselves.
    """
    counted = Counter(own for own in found.values() if own)
    if len({one for own in counted for one in own}) < 2:
        return ""
    [(usual, _)] = counted.most_common(1)
    others: dict[tuple[T, ...], list[str]] = defaultdict(list)
    for label, own in found.items():
        if own and own != usual and label not in named:
            others[own].append(label)
    texts = [f"{', '.join(labels)} {words(own)}" for own, labels in sorted(others.items())]
    return f"trained {words(usual)}" + (f", but {'; '.join(texts)}" if texts else "")


def threads_in_words(numbers: Sequence[int]) -> str:
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
