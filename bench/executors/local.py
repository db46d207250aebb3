"""Groups side by side on this machine, a process for each part.

A crash, a hang or an out-of-memory kill costs that part and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.api.executor import Cancelled, Executor, Group, Resources, Site, Standing
from bench.executors.gpus import VISIBLE, choose_gpu, visible_gpus

WAIT_SECONDS = 0.2
"""So long `LocalExecutor.poll` waits for a group to end."""


@dataclass
class Running:
    """A group that was submitted."""

    group: Group
    resources: Resources
    gpu: str | None = None
    thread: threading.Thread | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: bool = False
    error: BaseException | None = None

    @property
    def works(self) -> bool:
        """Whether it has begun and not ended."""
        return self.thread is not None and not self.ended


class LocalExecutor(Executor):
    """Runs `Site.jobs` groups at once, each part in a process of its own; over all GPUs that are
    visible, each process seeing one.

    By itself that is as many groups as there are GPUs to choose from, else one.
    """

    description = "one process per training and cell on this machine"

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._groups: dict[str, Running] = {}
        self._changed = threading.Condition()
        self._gpus: list[str] | None = None

    def submit(self, group: Group, resources: Resources) -> str:
        """See `Executor.submit`."""
        self._groups[group.name] = Running(group, resources)
        return group.name

    def poll(self, handles: Sequence[str]) -> Mapping[str, Standing]:
        """See `Executor.poll`.

        Raises:
            BenchError: a group has raised one, as where the disk is full.
        """
        self._begin()
        with self._changed:
            if not any(self._groups[handle].ended for handle in handles):
                self._changed.wait(WAIT_SECONDS)
        standings = {}
        for handle in handles:
            one = self._groups[handle]
            if one.error is not None:
                raise one.error
            kind = "ended" if one.ended else "running" if one.thread else "queued"
            standings[handle] = Standing(kind)  # type: ignore[arg-type]
        self._groups = {name: one for name, one in self._groups.items() if not one.ended}
        return standings

    def cancel(self, handles: Iterable[str]) -> None:
        """See `Executor.cancel`."""
        named = [self._groups[handle] for handle in handles if handle in self._groups]
        for one in named:
            one.cancelled.set()
            one.ended |= one.thread is None
        for one in named:
            if one.thread is not None:
                one.thread.join()

    # -- who begins -------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begins what there is room for, in the order in which it was submitted."""
        for one in self._groups.values():
            if one.thread is not None or one.ended:
                continue
            working = [other for other in self._groups.values() if other.works]
            alone = one.resources.exclusive or any(o.resources.exclusive for o in working)
            if len(working) >= (1 if alone else self._room(one.resources)):
                return
            if one.resources.gpus:
                taken = [other.gpu for other in working if other.gpu is not None]
                one.gpu = choose_gpu(self._visible(), one.resources.gpu, taken)
            one.thread = threading.Thread(target=self._carry_out, args=(one,), name=one.group.name)
            one.thread.start()

    def _room(self, resources: Resources) -> int:
        """How many may work at once."""
        if self.site.jobs is not None:
            return self.site.jobs
        spread = resources.gpus and resources.gpu is None
        return max(1, len(self._visible())) if spread else 1

    def _visible(self) -> list[str]:
        if self._gpus is None:
            self._gpus = visible_gpus()
        return self._gpus

    def _carry_out(self, one: Running) -> None:
        environment = {} if one.gpu is None else {VISIBLE: one.gpu}
        try:
            one.group.carry_out(self.site.tell, one.cancelled, environment=environment)
        except Cancelled:
            pass
        except BaseException as error:
            one.error = error
        finally:
            with self._changed:
                one.ended = True
                self._changed.notify_all()
