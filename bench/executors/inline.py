"""Everything in this process: for debuggers, and for reading a run from top to bottom."""

from __future__ import annotations

import threading

from bench.api.executor import Cancelled, Ended, Executor, Job, Progress
from bench.processes.failure import failure_of


class InlineExecutor(Executor):
    """Runs in the calling process, without limits of time and memory: a learner that exits the
    interpreter ends the run."""

    description = "in this process, for debugging; no limits, a crash ends the run"
    here = True

    def run(self, job: Job, progress: Progress, cancelled: threading.Event) -> Ended | None:
        """See `Executor.run`. Notices a cancellation when the learner next tells its progress."""

        def tell(event: dict[str, object]) -> None:
            if cancelled.is_set():
                raise Cancelled
            progress(event)

        try:
            job.perform(tell)
        except Cancelled:
            raise
        except Exception as error:
            return failure_of(error)
        return None
