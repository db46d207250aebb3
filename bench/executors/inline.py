"""Everything in this process: for debuggers, and for reading a run from top to bottom."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from bench.api.executor import Executor, Group, Resources, Site, Standing


class InlineExecutor(Executor):
    """Runs in the calling process, without limits of time and memory: a learner that exits the
    interpreter ends the run. One group after another, each within a call of `poll`."""

    description = "in this process, for debugging; no limits, a crash ends the run"
    here = True

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._waiting: dict[str, Group] = {}

    def submit(self, group: Group, resources: Resources) -> str:
        """See `Executor.submit`."""
        self._waiting[group.name] = group
        return group.name

    def poll(self, handles: Sequence[str]) -> Mapping[str, Standing]:
        """Carries out the next group."""
        if self._waiting:
            self.carry_out(self._waiting.pop(next(iter(self._waiting))))
        return {
            handle: Standing("queued" if handle in self._waiting else "ended") for handle in handles
        }

    def carry_out(self, group: Group) -> None:
        """Carries out a group, in this process."""
        group.carry_out(self.site.tell, threading.Event(), here=True)

    def cancel(self, handles: Iterable[str]) -> None:
        """See `Executor.cancel`. What runs was ended by whatever leads here."""
        for handle in handles:
            self._waiting.pop(handle, None)
