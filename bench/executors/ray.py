"""Groups as tasks of a Ray cluster, with Ray's own scheduling and retries.

For clusters without Slurm and for clouds. The results folder has to be on a disk that all nodes
share; bench and the learners' packages are installed on all of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.api import BenchError, MissingRequirementError
from bench.api.executor import Cancelled, Ended, Executor, Group, Resources, Site, Standing
from bench.groups.work import Stopping, work

try:
    import ray
except ModuleNotFoundError as error:
    raise MissingRequirementError("ray", "pip install 'bench-metalearning[ray]'") from error

RETRIES = 3
"""So often Ray begins a task again whose worker or node was lost."""

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
"""That end bench, and are heard as they were."""

WAIT_SECONDS = 0.5
"""So long one look at the tasks waits for the next that ends."""


class AgainError(Exception):
    """It was stopped, and is to be carried out again."""


def carry_out(plan: str, index: int) -> None:
    """A task: one group of a plan, in processes below Ray's worker, with which they end."""
    try:
        work(Path(plan), index, lambda event: None, Stopping())
    except Cancelled as error:
        raise AgainError(f"group {index} of {plan}") from error


class RayExecutor(Executor):
    """Has groups carried out by Ray: on a cluster that runs, or on one of this machine."""

    description = "tasks of a Ray cluster, one per training with its tests"
    elsewhere = True
    options = ("address", "resources")

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._special = _special(site.options.get("resources"))
        self._waiting: dict[str, tuple[Group, Resources]] = {}
        self._tasks: dict[str, Any] = {}
        self._looked_at: set[Resources] = set()
        self._connected = False

    def _connect(self) -> None:
        """To the cluster that is named, by ``-X address`` or ``$RAY_ADDRESS``, else to a new one of
        this machine."""
        if self._connected:
            return
        # A cluster of this machine that begins here: by itself Ray gives its workers what no other
        # program needs, and a timing would be of that.
        os.environ.setdefault("RAY_worker_niceness", "0")
        address = self.site.options.get("address")
        where = address or os.environ.get("RAY_ADDRESS")
        try:
            _reach(where)
            with signals_kept():
                ray.init(
                    address=address,
                    ignore_reinit_error=True,
                    log_to_driver=False,
                    logging_level="error",
                )
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            told = " ".join(str(error).split())[:500]
            raise BenchError(
                f"there is no Ray cluster at {where or 'this machine'}, or it lets nobody in: "
                f"{told}; give its address as -X address=ray://HOST:10001, or none for one on this "
                "machine; for a cluster that wants a token set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN"
            ) from error
        self._connected = True

    def submit(self, group: Group, resources: Resources) -> str:
        """See `Executor.submit`."""
        self._waiting[group.name] = group, resources
        return group.name

    def poll(self, handles: Sequence[str]) -> Mapping[str, Standing]:
        """See `Executor.poll`."""
        self._connect()
        self._begin()
        tasks = {self._tasks[name]: name for name in handles if name in self._tasks}
        if tasks:
            ray.wait(list(tasks), num_returns=1, timeout=WAIT_SECONDS, fetch_local=False)
            ended, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=0, fetch_local=False)
        else:
            time.sleep(WAIT_SECONDS)
            ended = []
        over = {tasks[task]: self._end(task) for task in ended}
        for name in over:
            del self._tasks[name]
        self._begin()
        others = {name: "queued" if name in self._waiting else "running" for name in handles}
        return {name: over.get(name) or Standing(others[name]) for name in handles}  # type: ignore[arg-type]

    def _begin(self) -> None:
        """Hands over what waits, as many as may run at once."""
        most = self.site.jobs
        for name in list(self._waiting):
            if most is not None and len(self._tasks) >= most:
                return
            group, resources = self._waiting.pop(name)
            self._tasks[name] = self._task(resources, name).remote(str(group.plan), group.index)
            if resources not in self._looked_at:
                self._looked_at.add(resources)
                self._tell_what_no_node_has(resources)

    def _task(self, resources: Resources, name: str) -> Any:
        asked: dict[str, Any] = {
            "name": name,
            "num_cpus": most_cpus() if resources.exclusive else resources.cpus,
            "num_gpus": resources.gpus,
            "max_retries": RETRIES,
            "retry_exceptions": [AgainError],
        }
        if resources.job_memory is not None:
            asked["memory"] = resources.job_memory
        if self._special:
            asked["resources"] = self._special
        return ray.remote(carry_out).options(**asked)

    def _tell_what_no_node_has(self, resources: Resources) -> None:
        """Ray waits without a word for a node that is large enough: a cluster may grow."""
        wanted = {"CPU": float(resources.cpus), "GPU": float(resources.gpus), **self._special}
        if resources.job_memory is not None:
            wanted["memory"] = float(resources.job_memory)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(all(node.get(k, 0.0) >= much for k, much in wanted.items()) for node in nodes):
            return
        if "memory" in wanted:
            wanted["GiB of memory"] = wanted.pop("memory") / 2**30
        asked = ", ".join(f"{much:g} {name}" for name, much in wanted.items() if much)
        self.site.notify(
            f"no node of this Ray cluster has what a training asks for ({asked}); waiting for one"
        )

    def _end(self, task: Any) -> Standing:
        try:
            ray.get(task)
        except ray.exceptions.TaskCancelledError:
            return Standing("cancelled")
        except ray.exceptions.OutOfMemoryError as error:
            return Standing("ended", Ended("memory", f"Ray has ended it: {_first(error)}"))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, BenchError):
                return Standing("ended", Ended("refused", str(cause)))
            if not isinstance(cause, AgainError):
                raise BenchError(f"a task of Ray failed, which bench ought not: {error}") from error
        except ray.exceptions.RayError as error:  # its node or worker was lost, again and again
            return Standing("ended", Ended("lost", f"Ray has lost it: {_first(error)}"))
        return Standing("ended")

    def cancel(self, handles: Iterable[str]) -> None:
        """See `Executor.cancel`."""
        for name in handles:
            self._waiting.pop(name, None)
            task = self._tasks.pop(name, None)
            if task is not None:
                ray.cancel(task, force=True)

    def close(self) -> None:
        """See `Executor.close`. A cluster that this run has begun ends with it."""
        if self._connected:
            ray.shutdown()


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself, and ends the process with a dump of its stack."""
    here = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS} if here else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it is not Python's
                signal.signal(number, handler)


def _reach(address: str | None) -> None:
    """Raises an `OSError` where nobody listens: Ray itself would try for minutes."""
    found = re.fullmatch(r"(?:ray://)?\[?([^/\]]+)\]?:(\d{1,5})", address or "")
    if found:
        socket.create_connection((found[1], int(found[2])), timeout=10).close()


def most_cpus() -> float:
    """The CPUs of the largest node: who asks for so many has a node of its own."""
    cpus = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return max([1.0, *cpus])


def _special(text: str | None) -> dict[str, float]:
    """``a100:1,fast:0.5`` as Ray has resources that a cluster's owner names."""
    found: dict[str, float] = {}
    for part in text.split(",") if text else []:
        name, _, amount = part.partition(":")
        try:
            found[name.strip()] = float(amount or 1)
        except ValueError:
            name = ""
        if not name.strip():
            raise BenchError(f"-X resources={text}: expected names and numbers, as a100:1")
    return found


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
