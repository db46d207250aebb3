"""`bench check` for suites: what each phase has, and which settings fit it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.api.dataset import DataFolders, Notify
    from bench.planning.data import SuiteData
    from bench.suites.schema import Suite


def check_suite(
    text: str, folders: DataFolders, fmt: Literal["table", "json"], tell: Notify
) -> tuple[str, bool]:
    """What a suite's data has and needs, as text; whether every setting fits.

    Raises:
        BenchError: where the suite or its data cannot be used at all.
    """
    from bench.cli.kinds import one_suite
    from bench.planning.data import open_suite_data

    suite = one_suite(text)
    pools = open_suite_data(suite, folders, tell)
    phases = phase_rows(suite, pools)
    settings, others = setting_rows(suite, pools, folders, tell)
    notes = list(dict.fromkeys([*pools.notes, *others]))
    if fmt == "json":
        told: dict[str, Any] = {"suite": suite.name, "dataset": pools.dataset}
        told |= {"split": pools.split or None, "phases": phases, "settings": settings}
        told |= {"notes": notes}
        shown = json.dumps(told, indent=2)
    else:
        shown = describe(suite, pools, phases, settings, notes)
    return shown, all(row["problem"] is None for row in settings)


def phase_rows(suite: Suite, pools: SuiteData) -> list[dict[str, Any]]:
    """What each phase draws from; nothing where episodes are generated."""
    from bench.registry.installed import protocol

    count = protocol(suite.protocol).count
    phases = (("train", pools.train), ("val", pools.val), ("test", pools.test))
    return [{"phase": phase, **counted} for phase, pool in phases if (counted := count(pool))]


def setting_rows(
    suite: Suite, pools: SuiteData, folders: DataFolders, tell: Notify
) -> tuple[list[dict[str, Any]], list[str]]:
    """What each setting needs, and why it does not fit where it does not; of one that tests on
    other data also what it has. And what the user should know of other data."""
    from bench.planning.data import check_setting, setting_data
    from bench.planning.transfer import not_here
    from bench.registry.installed import protocol

    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for name, setting in suite.settings.items():
        problem, waits, there = None, None, {}
        other = suite.tested_on(name)
        try:
            if other is None:
                check_setting(suite, name, pools)
            elif (waits := not_here(other, folders)) is None:
                own = setting_data(suite, name, pools, folders, tell)
                assert own.tested is not None, "it is other data"
                there = {"tested on": own.tested.dataset, "has": len(own.tested.classes)}
                notes += own.notes
        except BenchError as error:
            problem = str(error)
        needs = protocol(suite.protocol).requirements(setting)
        if suite.transfers:
            there = {"tested on": other.dataset if other else pools.dataset, "has": None, **there}
            there["not here"] = waits
        rows.append({"setting": name, **needs, **there, "problem": problem})
    return rows, notes


def describe(
    suite: Suite,
    pools: SuiteData,
    phases: list[dict[str, Any]],
    settings: list[dict[str, Any]],
    notes: list[str],
) -> str:
    """Both tables and the notes, as text."""
    from bench.cli.terminal import render

    first = f"{suite.name} (version {suite.version}): {suite.protocol}, dataset {pools.dataset}"
    parts = [first]
    if phases:
        shape = "x".join(map(str, getattr(pools.test, "input_shape", ())))
        parts += [
            f"split {pools.split}; {_inputs(pools)} of {shape}; no class is in two phases",
            "",
        ]
        parts += [render(phases, list(phases[0]), "table")]
    shown = [{**row, "result": row["problem"] or row.get("not here") or "fits"} for row in settings]
    columns = [key for key in settings[0] if key not in {"not here", "problem"}]
    parts += ["", render(shown, [*columns, "result"], "table")]
    parts += ["", *(f"note: {note}" for note in notes)] if notes else []
    return "\n".join(parts)


def _inputs(pools: SuiteData) -> str:
    floating = getattr(pools.test, "images", None)
    return "features" if floating is not None and floating.is_floating_point() else "images"
