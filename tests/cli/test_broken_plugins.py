"""Plugins that cannot be used are told by `bench list` and `bench doctor`, and disturb nothing.

All of them are installed at once, as packages of their own beside one that is sound.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench.cli import cli

TINY = (Path(__file__).parents[1] / "fixtures" / "tiny_suite.toml").read_text()

LEARNER = """
    from dataclasses import dataclass
    from bench.api import Learner
    print("this is no JSON")
    class Plugin(Learner):
        "Sound."
        family, contract = "test", 1
        def adapt(self, support_x, support_y, ways): return None
        def predict(self, state, query_x): return None
"""
DATASET = """
    from bench.api import Source
    class Plugin(Source):
        name, description = "data", "Sound."
        def verify(self, folders, notify): return "sound"
"""
EXECUTOR = """
    from bench.api import Executor
    class Plugin(Executor):
        description = "Sound."
        def submit(self, group, resources): return group.name
        def poll(self, handles): return {}
        def cancel(self, handles): return None
"""
SOUND = {"learner": LEARNER, "dataset": DATASET, "executor": EXECUTOR}
BASES = {
    "learner": "bench.api.Learner", "dataset": "bench.api.Source",
    "executor": "bench.api.Executor",
}  # fmt: skip

Case = tuple[str, str, str]
"""Name of the plugin, its module's source, why it cannot be used."""


def broken(kind: str) -> list[Case]:
    """What can be wrong with a plugin of any kind."""
    source = SOUND[kind]
    return [
        ("absent", "import absent_module", "importing it failed: ModuleNotFoundError: No module"),
        ("syntax", "def (", "importing it failed: SyntaxError: "),
        ("leaves", "raise SystemExit(3)", "importing it failed: SystemExit: 3"),
        ("nothing", "", "importing it failed: AttributeError: module"),
        ("other", "Plugin = 3", f"3 is not a subclass of {BASES[kind]}"),
        (
            "newer",
            source + "        contract = 7\n",
            "it was written for version 7 of the contract",
        ),
    ]


OWN: dict[str, list[Case]] = {
    # what can be wrong with one of this kind only
    "learner": [
        ("types", LEARNER + "        @dataclass\n        class Config: rate: 'Absent' = 1\n",
         "the types of its Config cannot be resolved: NameError: name 'Absent' is not defined"),
    ],
    "dataset": [
        ("half", DATASET.replace("verify", "verif"), "Plugin does not define verify"),
        ("mute", DATASET.replace("description", "text"), "Plugin does not state its description"),
        ("raises", DATASET + "        def __init__(self): raise OSError('no disk')\n",
         "OSError: no disk"),
    ],
    "executor": [
        ("half", EXECUTOR.replace("def poll", "def pole"), "Plugin does not define poll"),
        ("older", EXECUTOR.replace("def submit", "def run"),
         "it was written for an older version of bench; executors are given groups now"),
        ("mute", EXECUTOR.replace("description", "text"), "Plugin does not state its description"),
    ],
}  # fmt: skip


def bench(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def listed(kind: str) -> dict[str, dict[str, str | None]]:
    ran = bench("list", f"{kind}s", "--format", "json")
    assert ran.exit_code == 0, ran.output
    rows = json.loads(ran.stdout)
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row for row in rows}


def told_by_both(kind: str, expected: dict[str, tuple[str, str]], before: set[str]) -> None:
    """`list` and `doctor` tell each name's package and reason, and all else is as before.

    Args:
        expected: package and reason by name.
        before: the names that were usable before, and still have to be.
    """
    rows = listed(kind)
    doctor = bench("doctor")
    assert doctor.exit_code == 1
    for name, (package, reason) in expected.items():
        assert rows[name]["package"] == package
        assert reason in str(rows[name]["problem"])
        told = f"PROBLEM: {kind} {name} of {package}\n  "
        assert told in doctor.output
        assert reason in doctor.output.partition(told)[2].partition("\n\n")[0]
    usable = {name for name, row in rows.items() if row["problem"] is None}
    assert usable == before | {"sound"}


@pytest.mark.parametrize("kind", SOUND)
def test_learners_datasets_and_executors(install, kind):
    before = {name for name, row in listed(kind).items() if row["problem"] is None}
    expected = {}
    for name, source, reason in [*broken(kind), *OWN[kind]]:
        package = f"{kind}_{name}"  # a module is imported once per process
        install(package, source, **{f"{kind}s": {name: f"{package}:Plugin"}})
        expected[name] = f"{package} 2.5", reason
    for package in (f"{kind}_one", f"{kind}_two"):
        install(package, SOUND[kind], **{f"{kind}s": {"twice": f"{package}:Plugin"}})
    expected["twice"] = (
        f"{kind}_one 2.5, {kind}_two 2.5",
        "the name is claimed by 2 entry points; uninstall all but one",
    )
    install(f"{kind}_sound", SOUND[kind], **{f"{kind}s": {"sound": f"{kind}_sound:Plugin"}})
    told_by_both(kind, expected, before)


def test_suites(install):
    before = {name for name, row in listed("suite").items() if row["problem"] is None}

    def suites(package: str, **texts: str) -> Path:
        folder = install(
            package, "FOLDER = __file__.rpartition('/')[0]",
            suites={f"of-{package}": f"{package}:FOLDER"},
        )  # fmt: skip
        for name, text in texts.items():
            (folder / f"{name}.toml").write_text(text.replace('"tiny"', f'"{name}"'))
        return folder

    suites("suite_sound", sound=TINY)
    suites("suite_toml", syntax="name = ", newer="contract = 7\n" + TINY)
    paths = [suites(f"suite_{number}", twice=TINY) / "twice.toml" for number in ("one", "two")]
    install("suite_absent", "import absent_module", suites={"absent": "suite_absent:FOLDER"})
    install("suite_exits", "raise SystemExit(3)", suites={"exits": "suite_exits:FOLDER"})
    install("suite_other", "FOLDER = 3", suites={"other": "suite_other:FOLDER"})
    install("suite_gone", "FOLDER = '/absent/suites'", suites={"gone": "suite_gone:FOLDER"})
    expected = {
        "syntax": ("suite_toml 2.5", "not valid TOML"),
        "newer": ("suite_toml 2.5", "contract: unknown key"),
        "twice": ("suite_one 2.5, suite_two 2.5", "the name is claimed by 2 files, "),
        "absent": ("suite_absent 2.5", "importing it failed: ModuleNotFoundError: No module"),
        "exits": ("suite_exits 2.5", "importing it failed: SystemExit: 3"),
        "other": ("suite_other 2.5", "3 is no path of a suite file"),
        "gone": ("suite_gone 2.5", "/absent/suites is neither a suite file nor a folder"),
    }
    told_by_both("suite", expected, before)
    assert all(str(path) in str(listed("suite")["twice"]["problem"]) for path in paths)


def test_asking_for_one_tells_why_it_cannot_be_used(install):
    install("asked_for", "import absent_module", learners={"asked-for": "asked_for:Plugin"})
    for verb in ("show", "check"):
        ran = bench(verb, "asked-for")
        assert (
            "the learner 'asked-for' of asked_for 2.5 cannot be used: importing it failed"
            in str(ran.exception)
        )
