"""The only module that imports learn2learn."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from bench.api import MissingRequirementError

REQUIREMENT = "learn2learn 0.2.0"
INSTALL = (
    "pip install --no-cache-dir --no-deps learn2learn==0.2.0 "
    '--config-settings="--build-option=build_ext"'
)


def algorithms() -> ModuleType:
    """``learn2learn.algorithms``, which needs torch and numpy only.

    ``learn2learn/__init__.py`` is not run: it imports every dataset and environment of the library,
    and with them gym, torchvision and more, none of which is installed with `INSTALL`.

    Raises:
        MissingRequirementError: where learn2learn is not installed.
    """
    if "learn2learn" in sys.modules:  # somebody needs all of it
        return importlib.import_module("learn2learn.algorithms")
    spec = importlib.util.find_spec("learn2learn")
    if spec is None:
        raise MissingRequirementError(REQUIREMENT, INSTALL)
    sys.modules["learn2learn"] = importlib.util.module_from_spec(spec)  # never executed
    try:
        return importlib.import_module("learn2learn.algorithms")
    finally:
        del sys.modules["learn2learn"]
