"""Files that options name: which file it was is told by its content, wherever it lies."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import BenchError


@dataclass(frozen=True)
class File:
    """A file as it was read."""

    file: str
    """Its path, as given."""
    sha256: str

    @classmethod
    def of(cls, path: str | Path) -> File:
        """Reads a file.

        Raises:
            BenchError: it cannot be read.
        """
        try:
            with Path(path).open("rb") as content:
                return cls(str(path), hashlib.file_digest(content, "sha256").hexdigest())
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise BenchError(f"cannot read the file {str(path)!r}: {why}") from error

    def unchanged(self) -> str:
        """Its path.

        Raises:
            BenchError: it cannot be read, or holds something else now.
        """
        if File.of(self.file).sha256 != self.sha256:
            raise BenchError(
                f"the file {self.file!r} has changed: it was {self.sha256[:12]} (sha256) when the "
                "run was planned; give the command again to train with what it holds now"
            )
        return self.file

    def as_json(self) -> dict[str, str]:
        """As it is stored with the options."""
        return asdict(self)
