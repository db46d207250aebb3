"""One process per job on this machine.

A crash, a hang or an out-of-memory kill costs that job and nothing else.
"""

from __future__ import annotations

import threading

from bench.api.executor import Ended, Executor, Job, Progress
from bench.processes.child import Work, carry_out


class LocalExecutor(Executor):
    """Runs each job in a process of its own on this machine."""

    description = "one process per training and cell on this machine"

    def run(self, job: Job, progress: Progress, cancelled: threading.Event) -> Ended | None:
        """See `Executor.run`."""
        work = Work(
            "bench.worker.perform:perform_json",
            job.to_json(),
            job.log,
            done=lambda: job.done,
            preload=("bench.executors.preload",),
        )
        return carry_out(work, self.limits, progress, cancelled)
