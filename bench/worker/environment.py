"""Where and with what something is computed."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import json
import platform
import re
import subprocess
from pathlib import Path

from bench.store.records import Environment
from bench.version import __version__
from bench.worker.devices import Device


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def processor() -> str:
    """A readable name of the CPU."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        names = re.findall(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        if names:
            return str(names[0])
    except OSError:
        pass
    return platform.processor() or platform.machine()


@functools.cache
def driver() -> str | None:
    """Version of NVIDIA's driver; None where it does not say."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)", text)
    return found[1] if found else None


@functools.cache
def checkout() -> tuple[str | None, bool | None]:
    """Commit of the harness's own code and whether it was changed since: of its checkout, or what
    pip noted as it installed from a repository; None, None where nothing says it."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return (commit, False) if (commit := _installed_commit(root)) else (None, None)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD"), bool(
            git("status", "--porcelain", "--untracked-files=no")
        )
    except (OSError, subprocess.SubprocessError):
        return None, None


def _installed_commit(folder: Path) -> str | None:
    """The commit of ``pip install git+https://...``, of the package that lies in a folder (PEP 610,
    ``direct_url.json``)."""
    try:
        package = importlib.metadata.distribution("bench-metalearning")
        if Path(str(package.locate_file(""))).resolve() != folder:
            return None
        origin = json.loads(package.read_text("direct_url.json") or "{}")
        commit = origin.get("vcs_info", {}).get("commit_id")
    except (importlib.metadata.PackageNotFoundError, OSError, ValueError, AttributeError):
        return None
    return commit[:12] if isinstance(commit, str) else None


def environment(device: Device) -> Environment:
    """Describes this process on that device."""
    import numpy
    import torch

    is_cuda = device.kind == "cuda"
    commit, dirty = checkout()
    return Environment(
        device=device.name,
        device_name=torch.cuda.get_device_name(device.torch) if is_cuda else processor(),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=numpy.__version__,
        bench=__version__,
        platform=platform.platform(terse=True),
        commit=commit,
        dirty=dirty,
        driver=driver() if is_cuda else None,
    )
