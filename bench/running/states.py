"""How far a run is that other machines carry out, by its plan, its files and its engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench.api.dataset import Notify
from bench.api.executor import Site
from bench.errors import BenchError
from bench.groups.group import Group
from bench.groups.plan_file import PlanFile
from bench.groups.status import GroupStatus, read_status
from bench.registry.installed import executors
from bench.store import layout
from bench.store.checked import missing


@dataclass
class RunState:
    """How far a run is."""

    title: str
    counts: dict[str, int]
    """Groups: ``queued``, ``running``, ``done``, ``failed``, ``unfinished``."""
    logs: Path
    running: list[str] = field(default_factory=list)
    """A line for each group that works."""
    failed: list[str] = field(default_factory=list)
    """A line for each failure."""


def runs_in(results: Path) -> list[Path]:
    """The folders of runs in a results folder, the oldest first; a plan that is a link to nowhere
    is that of a run too."""
    plans = [run / layout.PLAN for run in (results / layout.RUNS).glob("*")]
    there = [plan for plan in plans if not missing(plan)]
    return [plan.parent for plan in sorted(there, key=lambda plan: plan.lstat().st_mtime)]


def state_of(run: Path, notify: Notify) -> RunState:
    """How far a run is.

    Args:
        run: its folder.
        notify: told what cannot be found out.

    Raises:
        BenchError: its plan cannot be read.
    """
    plan = PlanFile(run / layout.PLAN)
    groups = [plan.group(index) for index in range(len(plan.names))]
    pending = {group.name for group in groups if group.pending}
    alive = [group for group in groups if group.name in pending]
    standings = ask_engine(run, plan.executor, alive, notify)
    counts = dict.fromkeys(("queued", "running", "done", "failed", "unfinished"), 0)
    told = RunState(f"run {run.name}, executor {plan.executor}", counts, run / layout.LOGS)
    for group in groups:
        failures = [part for part in group.parts() if part.failed]
        told.failed += [
            f"failed: {part.phase} of {group.name}: {part.reason()}" for part in failures
        ]
        if group.name not in pending:
            counts["failed" if failures else "done"] += 1
            continue
        kind = standings.get(group.name, "unfinished")
        status = read_status(run, group)
        counts[kind] += 1
        if kind == "running" or (status is not None and status.state == "working"):
            told.running.append(_line(group, status, kind))
    return told


def ask_engine(run: Path, executor: str, groups: list[Group], notify: Notify) -> dict[str, str]:
    """What of these is queued and running, by the group's name, as far as the engine says."""
    try:
        engine = executors(executor).get(executor)(Site(None, run, notify=notify))
        handles = {group.name: engine.reattach(group) for group in groups}
        alive = [handle for handle in handles.values() if handle is not None]
        standings = engine.poll(alive) if alive else {}
        engine.close()
    except BenchError as error:
        notify(f"{executor} cannot be asked: {error}")
        return {}
    return {
        name: standings[handle].kind
        for name, handle in handles.items()
        if handle is not None and standings[handle].kind in {"queued", "running"}
    }


def _line(group: Group, status: GroupStatus | None, kind: str) -> str:
    if status is None:
        return f"{kind}: {group.name}"
    parts = group.parts()
    phase = parts[status.part].phase if status.part is not None else "begins"
    told = f"{kind}: {group.name}: {phase} on {status.host}, since {status.told}"
    fraction = status.details.get("fraction")
    told += f", {fraction:.0%}" if isinstance(fraction, float) else ""
    return told + (f", lost {status.lost} times" if status.lost else "")
