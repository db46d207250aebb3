"""A real Slurm cluster of three nodes on this machine; needs root and Slurm's own programs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

SCRIPT = Path(__file__).with_name("slurm_toy.sh")
NEEDS = ("slurmctld", "slurmd", "sbatch", "munged")


def why_not() -> str | None:
    """Why no cluster can be had here."""
    lacking = [name for name in NEEDS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
    if len(lacking) < len(NEEDS):
        return "needs apt's slurmctld, slurmd, slurm-client and munge"
    return None if os.geteuid() == 0 else "needs root, to start slurmd"


class Toy:
    """The cluster. Nodes are n1, n2 and n3, with two CPUs each."""

    def __init__(self, folder: Path, slot: int) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "SLURM_TOY": str(folder),
            "SLOT": str(slot),
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
        }

    def do(self, *words: str) -> str:
        """A command of the script."""
        return self.slurm("bash", str(SCRIPT), *words)

    def slurm(self, *command: str) -> str:
        """What a command prints; nothing where it fails."""
        ran = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        return ran.stdout.strip()

    def jobs(self, *options: str, states: str = "pending,running,completing") -> list[str]:
        """Lines of the queue."""
        told = self.slurm("squeue", "-h", "-r", f"--states={states}", *options)
        return told.splitlines()

    def controller_pid(self) -> int:
        return int((self.folder / "slurmctld.pid").read_text())

    def stop_controller(self) -> None:
        os.kill(self.controller_pid(), signal.SIGTERM)
        wait_for(lambda: not self.slurm("scontrol", "ping").count("is UP"))

    def start_controller(self) -> None:
        self.slurm("slurmctld")

    def lose(self, node: str) -> None:
        """A node loses power, and is known to be down at once."""
        self.do("node-down", node)
        self.slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def mend(self, node: str) -> None:
        self.do("node-up", node)
        self.slurm("scontrol", "update", f"nodename={node}", "state=resume")


SLOTS = 2
"""So many clusters side by side on this machine; further ones wait for their turn."""


@contextlib.contextmanager
def toy(folder: Path, locks: Path = Path("/tmp")) -> Iterator[Toy]:
    """A cluster for one test.

    Args:
        folder: for its files.
        locks: a folder that all who use one share.
    """
    with contextlib.ExitStack() as held:
        files = [
            held.enter_context((locks / f"bench-slurm-toy-{slot}.lock").open("a+"))
            for slot in range(SLOTS)
        ]
        while (slot := _taken(files)) is None:
            time.sleep(0.5)
        file = files[slot]
        file.seek(0)
        before = file.read().strip()
        if before and Path(before).exists():  # of tests that were killed
            Toy(Path(before), slot).do("stop")
        file.truncate(0)
        file.write(str(folder))
        file.flush()
        cluster = Toy(folder, slot)
        folder.mkdir(parents=True)
        try:
            cluster.do("start", "3", "2")
            assert "idle" in cluster.slurm("sinfo", "-h"), "the cluster does not start"
            yield cluster
        finally:
            cluster.do("stop")
            file.truncate(0)  # to stop what has stopped takes 20 s: scancel waits for an answer


def _taken(files: list[IO[str]]) -> int | None:
    """The number of the first that nobody has locked; it is locked now."""
    for number, file in enumerate(files):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number
    return None


def wait_for(true: Callable[[], object], seconds: float = 240.0) -> None:
    """Until something is true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)
