"""The results of a run: written after each row, so that one that is cut off loses nothing."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch

from bench.api.errors import BenchError
from bench.store.atomic import utf8, write_atomically
from bench.worker.environment import checkout, driver, processor
from benchmarks.part import Row

NAME = "results.json"


def machine(device: torch.device) -> dict[str, Any]:
    """Where it is measured and with what, in words."""
    words: dict[str, Any] = {
        "processor": processor(),
        "device": device.type,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
    if device.type == "cuda":
        words["gpu"] = torch.cuda.get_device_name(device)
        words["cuda"] = f"{torch.version.cuda}, driver {driver()}"
    return words


def commit() -> str:
    """That of the code that measures."""
    number, changed = checkout()
    return f"{number}{', changed' if changed else ''}" if number else "unknown"


@dataclass
class Results:
    """What was measured so far.

    Attributes:
        machine: see `machine`.
        asked: what was asked for that decides the numbers.
        peaks: floating-point operations per second of a large product, by precision.
        rows: what was measured, by part and name; each says at which commit, and how many processes
            the whole machine had running about then.
        skipped: why something was not, by part and name.
    """

    machine: dict[str, Any]
    asked: dict[str, Any]
    peaks: dict[str, float] = field(default_factory=dict)
    rows: dict[str, dict[str, Row]] = field(default_factory=dict)
    skipped: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Those of a file.

        Raises:
            BenchError: it holds none.
        """
        try:
            return cls(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise BenchError(f"{path} holds no results of the benchmarks: {error}") from error

    def write(self, path: Path) -> None:
        """All of it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = utf8(json.dumps(vars(self), indent=1) + "\n")
        write_atomically(path, lambda file: file.write(text))

    def go_on(self, path: Path) -> None:
        """Takes over what a file has, if it is there; what was skipped is tried again.

        Raises:
            BenchError: it is of another machine, or was asked for otherwise.
        """
        if not path.exists():
            return
        before = Results.read(path)
        for what in ("machine", "asked"):
            one, other = getattr(before, what), getattr(self, what)
            different = [key for key in {**one, **other} if one.get(key) != other.get(key)]
            if different:
                said = ", ".join(
                    f"{key}: {one.get(key)}, now {other.get(key)}" for key in different
                )
                raise BenchError(
                    f"{path} is of another run ({said}); name another folder with --output, or "
                    "begin anew with --fresh"
                )
        self.peaks, self.rows, self.skipped = before.peaks, before.rows, before.skipped

    def forget(self, part: str) -> None:
        """All of a part."""
        self.rows.pop(part, None)
        self.skipped.pop(part, None)

    def keep(self, part: str, name: str, row: Row) -> None:
        """A row that was measured."""
        about = {"commit": commit(), "load": round(os.getloadavg()[0], 1)}
        self.rows.setdefault(part, {})[name] = {**row, **about}
        self.skipped.get(part, {}).pop(name, None)

    def skip(self, part: str, name: str, reason: str) -> None:
        """A row that was not."""
        self.skipped.setdefault(part, {})[name] = reason
