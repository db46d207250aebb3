"""Options of a learner as results store them."""

from __future__ import annotations

from typing import Any


def without_paths(config: Any) -> Any:
    """Options as JSON, files told by their content only."""
    match config:
        case {"file": str(), "sha256": str(digest)}:
            return {"sha256": digest}
        case dict():
            return {key: without_paths(value) for key, value in config.items()}
        case list():
            return [without_paths(value) for value in config]
    return config
