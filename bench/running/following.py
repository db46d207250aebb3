"""Follows the groups that an executor was given, until each is settled."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.api.dataset import Notify
from bench.api.executor import Ended, Executor, Resources, Standing
from bench.groups.carrying import fail_part
from bench.groups.events import Event, Listener
from bench.groups.group import Group
from bench.groups.status import GroupStatus, StatusReader, forget_status

MOST_ATTEMPTS = 3
"""So often a group is submitted that ends without getting on, and nobody says why."""


@dataclass
class Followed:
    """A group that was handed over."""

    group: Group
    resources: Resources
    reader: StatusReader | None
    """Of what it says itself; None: it is told."""
    told: dict[int, str] = field(default_factory=dict)
    """What was told last of each of its parts, by number."""
    attempts: int = 0
    """How often it was submitted since it got on."""
    stood: object = None
    """What had been done of it then."""


class Following:
    """The groups of a run.

    Args:
        executor: has them carried out.
        listener: told what happens to each of their parts.
        notify: told what the user should know.
    """

    def __init__(self, executor: Executor, listener: Listener, notify: Notify) -> None:
        self._executor, self._listener, self._notify = executor, listener, notify
        self._followed: dict[str, Followed] = {}  # by handle

    @property
    def unfinished(self) -> int:
        """How many are handed over that have not ended."""
        return len(self._followed)

    def keep(self, group: Group) -> None:
        """Tells of a group that nothing is left to do of."""
        for part in group.parts():
            if part.phase != "train" and (part.done or part.failed or part.phase == "audit"):
                self._listener(Event("kept", part))

    def submit(self, group: Group, resources: Resources) -> None:
        """Has a group carried out; one that is queued or running since before is only followed."""
        reader = StatusReader(self._executor.site.folder, group)
        one = Followed(group, resources, reader if self._executor.elsewhere else None)
        one.stood = group.stands()
        handle = self._executor.reattach(group)
        if handle is None:
            forget_status(self._executor.site.folder, group)  # attempts of earlier runs
            handle = self._executor.submit(group, resources)
        if one.reader is not None:
            self._note_what_is_there(one)
        self._followed[handle] = one

    def look(self) -> None:
        """Asks once where all of them stand.

        Raises:
            BenchError: nothing can go on.
        """
        for handle, standing in self._executor.poll(list(self._followed)).items():
            one = self._followed[handle]
            if standing.kind != "queued" and one.reader is not None:
                self._tell(one, one.reader.news(), ended=standing.kind != "running")
            if standing.kind in {"ended", "cancelled"}:
                del self._followed[handle]
                self._end(one, standing)

    def cancel(self) -> None:
        """Ends all that has not ended."""
        self._executor.cancel(list(self._followed))

    # -- groups that ended ------------------------------------------------------------------------

    def _end(self, one: Followed, standing: Standing) -> None:
        group, why = one.group, standing.why
        if group.settled:
            return
        if standing.kind == "cancelled":
            self._notify(f"{group.name}: somebody has cancelled it; what it has not done is left")
            return
        now = group.stands()
        one.attempts = 1 if now != one.stood else one.attempts + 1
        one.stood = now
        if why is None and one.attempts >= MOST_ATTEMPTS:
            times = f"{one.attempts} times without getting on"
            why = Ended("lost", f"it ended {times}, and nobody said why")
        if why is not None:
            one.attempts = 0
            if not fail_part(group, why, self._listener):
                self._notify(f"{group.name}: {why.reason}; what it has not done is left")
                return
        if not group.settled:
            self._followed[self._executor.submit(group, one.resources)] = one

    # -- what they say themselves -----------------------------------------------------------------

    def _note_what_is_there(self, one: Followed) -> None:
        """What is done or has failed before is told as kept."""
        for number, part in enumerate(one.group.parts()):
            if part.done or part.failed:
                one.told[number] = "kept"
                self._listener(Event("kept", part))

    def _tell(self, one: Followed, status: GroupStatus | None, *, ended: bool) -> None:
        """Tells what has happened since it was last looked at."""
        parts = one.group.parts()
        at = len(parts) if ended or status is None else (status.part or 0)
        if status is None and not ended:
            return
        for number, part in enumerate(parts[:at]):
            if one.told.get(number) not in {"kept", "done", "failed"}:
                if part.done:
                    self._say(one, number, Event("done", part))
                elif part.failed:
                    self._say(one, number, Event("failed", part, {"reason": part.reason()}))
        if status is None or ended:
            return
        for note in status.notes:
            self._notify(note)
        if at < len(parts):
            if one.told.get(at) is None:
                self._say(one, at, Event("start", parts[at]))
            if status.details and one.told[at] == "start":
                self._listener(Event("progress", parts[at], status.details))

    def _say(self, one: Followed, number: int, event: Event) -> None:
        one.told[number] = event.kind
        self._listener(event)
