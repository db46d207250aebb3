"""The plan of the house, read off the source code: who may import whom, and what a file is.

A package's line names all that it may import; what it names stands above it in the table, so that
no circle can be written down. docs/architecture.md has the map.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.protocol_branches import branches, by_module

ROOT = Path(__file__).parents[1]

GROUND = ("errors", "version")
LAW: dict[str, tuple[str, ...]] = {
    # ground: nothing of the project
    "version": (),
    "statistics": (),
    "api": (),
    # the harness's name for the errors of the contract
    "errors": ("api",),
    "nn": ("api",),
    # the learners, and whoever writes one
    "bench_plugins": ("api", "nn"),
    # other processes, whatever is done in them
    "processes": ("api",),
    # functions that import plugins, called in another process
    "apart": ("processes", "errors"),
    # what lies on disk
    "store": ("api", "errors"),
    # the run side: from a suite to stored results
    "episodes": ("api", "errors"),
    "data": ("api", "episodes", "errors"),
    "protocols": ("api", "episodes", "data", "store", "statistics", "errors"),
    "registry": ("api", "apart", "protocols", "errors"),
    "suites": ("protocols", "registry", "errors"),
    "planning": ("api", "apart", "episodes", "data", "protocols", "suites", "registry", "store",
                 "errors"),
    "testing": ("api", "nn", "data", "protocols", "registry", "store", "statistics", "errors"),
    "worker": ("api", "episodes", "data", "protocols", "suites", "registry", "planning", "testing",
               "store", *GROUND),
    "groups": ("api", "processes", "planning", "worker", "store", "errors", "version"),
    "executors": ("api", "groups", "store"),
    "running": ("api", "apart", "data", "protocols", "registry", "planning", "groups", "worker",
                "store", "errors"),
    # the read side: from stored results to a report
    "results": ("store", "statistics", "errors"),
    "report": ("results", "store", *GROUND),
    # where both sides meet
    "trained": ("api", "data", "planning", "registry", "results", "store", "worker", "errors"),
    "facade": ("api", "planning", "groups", "running", "results", "errors"),
    "cli": ("api", "apart", "store", "data", "suites", "registry", "planning", "testing", "worker",
            "groups", "running", "results", "report", *GROUND),
    "": ("facade", "planning", "results", "trained", "version"),  # bench/__init__.py
}  # fmt: skip


def package(module: str) -> str:
    top, _, rest = module.partition(".")
    return top if top == "bench_plugins" else rest.partition(".")[0]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (a.name for a in names)
            case ast.ImportFrom(module="bench", names=names, level=0):
                yield from (f"bench.{a.name}" for a in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.ImportFrom():
                yield "bench.relative-import"


def sources() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "bench").rglob("*.py")):
        first = path.relative_to(ROOT / "bench").parts[0].removesuffix(".py")
        yield "" if first == "__init__" else first, path
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        yield "bench_plugins", path


def test_the_law_has_no_circle():
    seen: list[str] = []
    for name, below in LAW.items():
        assert set(below) <= set(seen), f"{name} may import what stands below it in the table"
        seen.append(name)


def test_every_package_is_in_the_law():
    assert {name for name, _ in sources()} == set(LAW)


def strays(name: str, found: Iterator[str]) -> list[str]:
    own = [m for m in found if m.partition(".")[0] in ("bench", "bench_plugins")]
    return [m for m in own if package(m) not in (*LAW[name], name)]


@pytest.mark.parametrize("name", LAW)
def test_a_package_imports_what_the_law_allows(name):
    broken = {
        str(path.relative_to(ROOT)): stray
        for own, path in sources()
        if own == name and (stray := strays(name, imports(path)))
    }
    assert broken == {}


def test_the_law_is_as_tight_as_the_code():
    """What nobody uses is not allowed either."""
    used = {name: set() for name in LAW}
    for name, path in sources():
        own = (m for m in imports(path) if m.startswith(("bench.", "bench_plugins")))
        used[name] |= {package(m) for m in own}
    idle = {n: extra for n, below in LAW.items() if (extra := set(below) - used[n] - {"nn"})}
    assert idle == {}


def test_no_private_name_leaves_its_file():
    taken = {
        f"{path.relative_to(ROOT)}: {alias.name}"
        for _, path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    }
    assert taken == set()


ALLOWED_AT_TOP = {"__init__.py", "errors.py", "facade.py", "version.py"}


def test_no_module_is_left_in_the_hall():
    assert {p.name for p in (ROOT / "bench").glob("*.py")} == ALLOWED_AT_TOP


@pytest.mark.parametrize(
    "planted",
    [
        "report:bench.registry",
        "worker:bench.results.table",
        "store:bench.planning.jobs",
        "bench_plugins:bench.data.base",
        "api:bench.errors",
        "executors:bench.running.runner",
    ],
)
def test_a_planted_violation_is_caught(planted):
    name, _, module = planted.partition(":")
    assert strays(name, iter([module]))


# -- protocols ------------------------------------------------------------------------------------

OWN_IT = {"bench/api", "bench/protocols", "bench/results/measures.py"}
"""Where a protocol is decided, written down for readers, or part of the contract."""

MOST_BRANCHES = 5


def test_nobody_asks_which_protocol_it_is():
    """A protocol is asked what it decides; reports read what it has stored."""
    found = {
        path: lines
        for path, lines in by_module(ROOT).items()
        if not any(Path(path).is_relative_to(place) for place in OWN_IT)
    }
    assert sum(map(len, found.values())) <= MOST_BRANCHES, found


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('if task.protocol == "online": pass', 1),
        ('word = {"kshot": 1}[suite.protocol]', 1),
        ('if "sequence" in learner.protocols: pass', 1),
        ('match name:\n    case "kshot" | "online": pass', 2),
        ("isinstance(batch, Episodes | Stream)", 1),
        ("isinstance(batch, (api.Sequences, int))", 1),
        ("if board.online: pass", 1),
        ("protocol(task.protocol).score(batch)", 0),
        ('word = "online"', 0),
    ],
)
def test_what_counts_as_a_branch(source, count):
    assert len(list(branches(source))) == count


# -- files ----------------------------------------------------------------------------------------

MOST_LINES = 400


def python_files() -> list[Path]:
    return [
        path
        for folder in ("bench", "plugins", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def test_no_file_wants_splitting():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert len(lines) > 150
    assert {str(path): count for path, count in lines.items() if count > MOST_LINES} == {}


NOT_MIRRORED = {
    "plugins/test_laws.py",  # all learners: the laws that each has to keep
    "report/test_browser.py",  # the page, in a real browser
    "report/test_many_cells.py",  # the page, of 10,000 cells
    "cli/test_broken_plugins.py",  # every verb, beside broken plugins
    "cli/test_looking.py",  # the verbs that only look
    "cli/test_own_data.py",  # every verb, on a folder of images
}
"""Tests of no one file. The list may only become shorter."""


def test_tests_mirror_the_code():
    """``tests/<package>/test_<module>.py``, or ``test_<module>_<part>.py`` for a part of it."""
    strays = set()
    for path in sorted((ROOT / "tests").glob("*/**/test_*.py")):
        place = path.relative_to(ROOT / "tests")
        home = (
            ROOT / ("" if place.parts[0] in {"plugins", "benchmarks"} else "bench") / place.parent
        )
        words = path.stem.removeprefix("test_").split("_")
        names = ["_".join(words[:k]) for k in range(len(words), 0, -1)]
        if not any(any(home.rglob(f"{name}.py")) for name in names) and words[0] not in (
            home.name,
            *(d.name for d in home.iterdir()),
        ):
            strays.add(str(place))
    assert strays == NOT_MIRRORED
