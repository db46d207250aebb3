"""Keeps what a learner answered in a meta-test, where that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.episodes.banks import Bank
from bench.protocols.base import Protocol
from bench.store.answers import SHOWN, keep_answers


def keep(
    folder: Path, bank: Bank, protocol: Protocol[Any, Any], parts: Sequence[dict[str, Tensor]]
) -> None:
    """Stores ``answers.npz``.

    Args:
        folder: of the cell.
        bank: what was answered.
        protocol: of the bank.
        parts: of each batch what `bench.protocols.base.Protocol.kept` made of it.

    Raises:
        CannotWriteError: it cannot be written.
    """
    named = protocol.named_classes(bank)
    if named is None or not (parts and parts[0]):
        return keep_answers(folder, {}, [])
    classes, names = named
    kept = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    arrays: dict[str, NDArray[Any]] = {
        "label": kept["label"].astype(np.uint16),
        "choice": kept["choice"].astype(np.uint16),
        "confidence": kept["confidence"].astype(np.float16),
        "classes": classes.astype(np.int32),
    }
    first = bank.first(min(SHOWN, len(bank)))
    shown = protocol.shown(next(first.batches(len(first))))
    if shown and shown["query_x"].ndim == 5:
        for key in ("support_x", "query_x"):
            pixels = shown[key].detach().cpu().numpy()
            arrays[key] = np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)
        arrays["support_y"] = shown["support_y"].cpu().numpy().astype(np.uint16)
    else:  # features, which nobody can look at
        arrays["support_x"] = arrays["query_x"] = np.zeros((0, 0, 1, 1, 1), np.uint8)
        arrays["support_y"] = np.zeros((0, 0), np.uint16)
    return keep_answers(folder, arrays, names)
