"""The only module that imports torchvision; nothing else does, and only when it is needed.

torchvision's compiled operators cannot be loaded on a machine whose torch is a CPU build while its
torchvision wheel is not: ``import torchvision`` then stops at ``operator torchvision::nms does not
exist``. Declaring the operators it asks for makes all that does not call them work (tried with
torch 2.13.0+cpu and torchvision 0.28.0).
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[Any] = []  # operators exist as long as the Library object that declared them


def torchvision_datasets() -> ModuleType:
    """``torchvision.datasets``, imported now.

    Raises:
        ImportError: when torchvision is not installed.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is not None and not _declared and not _loads_operators(spec):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in OPERATORS:
            library.define(schema)
        _declared.append(library)
    return importlib.import_module("torchvision.datasets")


def _loads_operators(spec: importlib.machinery.ModuleSpec) -> bool:
    """Whether the compiled operators are there; loads them, as torchvision will do again."""
    for folder in spec.submodule_search_locations or ():
        for compiled in Path(folder).glob("_C.*"):
            try:
                torch.ops.load_library(compiled)
            except OSError:
                continue
            return True
    return False
