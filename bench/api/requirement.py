"""What a plugin raises where something optional is missing."""

from __future__ import annotations


class MissingRequirementError(ImportError):
    """Raised by a plugin's module while it is imported without something optional that it needs.

    The plugin is then shown as unavailable, with the command, and does not count as broken.

    Args:
        requirement: what is missing, for instance ``"learn2learn 0.2.0"``.
        install: the command that installs it, one line.
    """

    def __init__(self, requirement: str, install: str) -> None:
        super().__init__(f"{requirement} is not installed; install it with\n  {install}")
        self.install = install
