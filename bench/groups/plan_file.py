"""The plan of a run as a file: what `bench work` reads on any machine that has the results folder.

JSON, and never a pickle. The results folder is the one that the plan lies in, wherever that is
mounted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.api.dataset import DataFolders
from bench.api.executor import Limits
from bench.api.files import read_regular
from bench.errors import BenchError
from bench.groups.group import Frame, Group
from bench.planning.jobs import Cell, Training
from bench.store.atomic import write_atomically
from bench.version import __version__
from bench.worker.assignment import plain

PLAN_SCHEMA = 1

MOST_BYTES = 2**30
"""Of a plan: some 300,000 groups."""

FOLDERS: TypeAdapter[DataFolders] = TypeAdapter(DataFolders)


def write_plan(path: Path, groups: Sequence[Group], executor: str = "local") -> None:
    """Writes down the groups of a run, at least one.

    Args:
        path: the file.
        groups: all of the run.
        executor: what it was begun with.

    Raises:
        CannotWriteError: the disk is full, or may not be written to.
    """
    frame = groups[0].frame
    head = {
        "plan_schema": PLAN_SCHEMA,
        "bench": __version__,
        "executor": executor,
        "results": os.path.relpath(frame.results, path.parent),
        "folders": FOLDERS.dump_python(frame.folders),
        "limits": {"seconds": frame.limits.seconds, "memory": frame.limits.memory},
        "store": frame.store,
        "tracker": frame.tracker,
        "groups": [],
    }
    before, after = json.dumps(head, default=plain).rsplit("[]", 1)

    def write(file: Any) -> None:  # group by group: thousands of them are not held as one text
        file.write(f"{before}[\n".encode())
        for place, group in enumerate(groups):
            comma = ",\n" if place + 1 < len(groups) else "\n"
            file.write((json.dumps(_content(group), default=plain) + comma).encode())
        file.write(f"]{after}\n".encode())

    write_atomically(path, write)


def _content(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "kind": group.kind,
        "training": group.training.model_dump(),
        "cells": [cell.model_dump(exclude={"training"}) for cell in group.cells],
        "device": group.device,
        "threads": group.threads,
        "source": group.source,
    }


class PlanFile:
    """A plan that was written.

    Args:
        path: its file.

    Raises:
        BenchError: it is no plan, or one of another version of bench.

    Attributes:
        names: of its groups, in their order.
        executor: what the run was begun with.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        try:
            content = json.loads(read_regular(path, MOST_BYTES))
            version = content["bench"]
            if content["plan_schema"] != PLAN_SCHEMA or version != __version__:
                raise BenchError(
                    f"{path} was written by bench {version}, and this is bench {__version__}; "
                    "install the same version on both machines"
                )
            self._frame = Frame(
                Path(os.path.normpath(self._path.parent / content["results"])),
                FOLDERS.validate_python(content["folders"]),
                self._path,
                Limits(content["limits"]["seconds"], content["limits"]["memory"]),
                tuple(str(name) for name in content["store"]),
                str(content["tracker"]),
            )
            self._groups: list[dict[str, Any]] = content["groups"]
            self.executor = str(content["executor"])
            self.names = [str(group["name"]) for group in self._groups]
        except OSError as error:
            raise BenchError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _no_plan(path, error) from error

    def group(self, index: int) -> Group:
        """The group of that number, from 0.

        Raises:
            BenchError: there is none, or it is damaged.
        """
        if not 0 <= index < len(self._groups):
            last = len(self._groups) - 1
            raise BenchError(f"{self._path} has no group {index}; it has those of 0 to {last}")
        content = self._groups[index]
        try:
            training = Training.model_validate(content["training"])
            cells = tuple(
                Cell.model_validate({**cell, "training": training}) for cell in content["cells"]
            )
            kind, device, threads = content["kind"], content["device"], content["threads"]
            group = Group(
                index, kind, training, cells, device, threads, content["source"], self._frame
            )
            if kind not in {"train", "time"} or group.name != content["name"]:
                raise ValueError(f"{group.name!r} is called {content['name']!r}")
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            raise _no_plan(self._path, error) from error
        return group


def _no_plan(path: Path, error: Exception) -> BenchError:
    told = str(error).splitlines()[0][:200]
    return BenchError(
        f"{path} is no plan, or a damaged one ({type(error).__name__}: {told}); `bench run` with "
        "--plan-only or an executor of a cluster writes one"
    )
