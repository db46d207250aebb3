"""Learners without a package: ``path/to/file.py:Class``, or ``module:Class`` beside the user.

What is written into a notebook's folder and changed between two runs is a learner by its content:
its code is a part of what a training is.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from bench.apart.blame import touching
from bench.api.executor import PlanMismatchError
from bench.api.files import is_file as lies_at
from bench.errors import BenchError
from bench.registry.learners import accept_learner
from bench.registry.source_hash import source_hash
from bench.registry.unchanged import unchanged

if TYPE_CHECKING:
    from bench.api import Learner

HOW_TO_NAME = "write NAME, 'NAME[option=value]', package.module:Class or path/to/file.py:Class"


class LearnerFile(BaseModel):
    """Where a learner lies that is not installed, and what its code is."""

    model_config = ConfigDict(frozen=True)

    module: str
    attribute: str
    path: str | None
    """Its file; None: wherever Python finds the module."""
    code: str
    """Hash of its source, and of what it imports from beside it."""

    @property
    def name(self) -> str:
        """What it is called in results: wherever the file lies."""
        return f"{self.module}:{self.attribute}"

    def load(self) -> type[Learner]:
        """The learner.

        Raises:
            PlanMismatchError: it is not what it was.
            BenchError: it cannot be used.
        """
        learner = _load(self.module, self.attribute, self.path)
        if _code(learner, self.path) != self.code:
            raise PlanMismatchError(
                f"{self.path or self.module} has changed since the run was planned; run it again"
            )
        return learner


def is_file(name: str) -> bool:
    """Whether a learner is named by where it lies; no entry point has such a name."""
    return ":" in name


def find(name: str) -> tuple[LearnerFile, type[Learner]]:
    """The learner behind ``file.py:Class`` or ``module:Class``.

    A module is looked for in the current folder, then on the import path.

    Raises:
        BenchError: where it cannot be imported, or is no learner.
    """
    place, _, attribute = name.rpartition(":")
    path: str | None
    if place.endswith(".py"):
        file = Path(os.path.expanduser(place)).absolute()  # noqa: PTH111 - of nobody: it raises not
        if not lies_at(file):
            raise BenchError(f"cannot import {name}: there is no file {file}\n{HOW_TO_NAME}")
        module, path = file.stem, str(file)
    else:
        module, path = place, _beside(place)
    learner = _load(module, attribute, path)
    return LearnerFile(
        module=module, attribute=attribute, path=path, code=_code(learner, path)
    ), learner


def _beside(module: str) -> str | None:
    """The file of a module in the current folder or on the import path, where it is no installed
    one; nothing is imported for it."""
    if not re.fullmatch(r"\w+(\.\w+)*", module):
        return None
    stem = Path(*module.split("."))
    installed = {Path(place) for place in sysconfig.get_paths().values()}
    for folder in [Path.cwd(), *(Path(place) for place in sys.path)]:
        if folder in installed:
            continue
        for file in (folder / f"{stem}.py", folder / stem / "__init__.py"):
            if lies_at(file):
                return str(file.absolute())
    return None


def _load(module: str, attribute: str, path: str | None) -> type[Learner]:
    name = f"{path or module}:{attribute}"
    try:
        with unchanged(), touching(f"importing {path or module}"):
            thing = getattr(_imported(module, path), attribute)
    except BenchError:
        raise
    except (Exception, SystemExit) as error:  # an import may raise anything
        raise BenchError(
            f"cannot import {name}: {type(error).__name__}: {error}\n{HOW_TO_NAME}"
        ) from error
    try:
        with unchanged(), touching(f"loading the learner {name}"):
            return accept_learner(thing)
    except BenchError as error:
        raise BenchError(f"{name} cannot be used: {error}") from error


def _imported(module: str, path: str | None) -> ModuleType:
    """The module of that file. What it imports from beside it is found after all that is installed:
    a ``random.py`` there is nobody's."""
    if path is None:
        return importlib.import_module(module)
    folder = str(_folder(module, path))
    if folder not in sys.path:
        sys.path.append(folder)
    with contextlib.suppress(ImportError, ValueError):
        if "." in module or _is(PathFinder.find_spec(module, sys.path), path):
            found = importlib.import_module(module)
            if _is(found.__spec__, path):
                return found
    called = f"learner_file_{Path(path).stem}"  # another module has its name
    spec = importlib.util.spec_from_file_location(called, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    found = importlib.util.module_from_spec(spec)
    sys.modules[called] = found
    spec.loader.exec_module(found)
    return found


def _is(spec: Any, path: str) -> bool:
    return spec is not None and spec.origin is not None and Path(spec.origin).samefile(path)


def _folder(module: str, path: str) -> Path:
    """The folder that the module's name begins in."""
    file = Path(path)
    names = module.split(".")
    inside = file.name == "__init__.py" and names[-1] != "__init__"
    return file.parents[len(names) - 1 + inside]


def _code(learner: type[Learner], path: str | None) -> str:
    return source_hash(learner, None if path is None else Path(path).parent)
