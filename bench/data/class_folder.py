"""How a plan names a folder of images by class; naming one needs no torch, unlike reading it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ClassFolder(BaseModel):
    """A folder of images, and the classes of each phase: all that is needed to load it."""

    model_config = ConfigDict(frozen=True)

    path: str
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
