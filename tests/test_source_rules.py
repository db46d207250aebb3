"""Rules of the source code that are no matter of layout; for that see test_layout.py."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIM = "bench.data.torchvision_shim"


def sources() -> Iterator[tuple[str, str]]:
    """Name and source of every module of the project."""
    for folder, package in (("bench", "bench"), ("plugins", "bench_plugins")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            dotted = ".".join((package, *parts)).removesuffix(".__init__")
            yield dotted, path.read_text(encoding="utf-8")


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def imports(source: str) -> Iterator[str]:
    """Full names of all that is imported: anywhere in a file, also by name at run time."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from (f"{'.' * level}{module or ''}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name("__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(str(name)), *_],
            ):
                yield name


def imported_learners(module: str, source: str) -> list[str]:
    """The harness importing a learner, also by name at run time."""
    if not within(module, ("bench",)):
        return []
    return [name for name in imports(source) if within(name, ("bench_plugins",))]


def relative_imports(module: str, source: str) -> list[str]:
    """Relative imports: the other checks would not see where they lead."""
    return [name for name in imports(source) if name.startswith(".")]


def torchvision_imports(module: str, source: str) -> list[str]:
    """Imports of torchvision outside of its shim, and the shim's own at import time."""
    if module == SHIM:
        top = ast.Module([node for node in ast.parse(source).body if _is_import(node)], [])
        source = ast.unparse(top)
    return [name for name in imports(source) if within(name, ("torchvision",))]


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def learner_names() -> set[str]:
    """Entry-point and class names of the built-in learners."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["bench.learners"]
    return set(points) | {target.partition(":")[2] for target in points.values()}


def named_learners(module: str, source: str) -> list[str]:
    """Names of built-in learners in the harness's code: as identifiers, or as whole strings.

    Prose may name them: documentation, help, examples in messages.
    """
    if not within(module, ("bench",)):
        return []
    names, found = learner_names(), []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Constant(str(word)) | ast.Name(word) | ast.Attribute(attr=word):
                found += [word] if word in names else []
            case ast.FunctionDef(name=word) | ast.ClassDef(name=word) | ast.arg(word):
                found += [word] if word in names else []
    return found


CHECKS: dict[str, Callable[[str, str], list[str]]] = {
    "the harness imports no learner": imported_learners,
    "imports are absolute": relative_imports,
    "only the shim imports torchvision, and only when asked": torchvision_imports,
    "the harness names no learner": named_learners,
}


@pytest.mark.parametrize("rule", CHECKS)
def test_the_project_keeps_the_rule(rule):
    broken = {module: CHECKS[rule](module, source) for module, source in sources()}
    assert {module: names for module, names in broken.items() if names} == {}


def test_all_modules_are_looked_at():
    seen = {module for module, _ in sources()}
    assert {"bench", "bench.api", "bench.cli.run", "bench.report", "bench.suites.schema"} <= seen
    assert "bench_plugins.metric_based.prototypical" in seen
    assert {"maml", "MAML", "prototypical", "pixel-nearest-neighbour"} <= learner_names()


PLANS = "bench.planning.plan"
HARNESS = "the harness imports no learner"
VISION, NAMES = (
    "only the shim imports torchvision, and only when asked",
    "the harness names no learner",
)


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (HARNESS, PLANS, "from bench_plugins.optimization_based.maml import MAML"),
        (HARNESS, PLANS, "importlib.import_module('bench_plugins.model_based')"),
        (HARNESS, "bench.cli.run", "def f():\n    import bench_plugins"),
        ("imports are absolute", PLANS, "from . import plugins"),
        ("imports are absolute", PLANS, "from .plugins import learners"),
        (VISION, "bench.data.omniglot", "from torchvision.datasets import Omniglot"),
        (VISION, "bench_plugins.metric_based.siamese", "import torchvision"),
        (VISION, "bench.data.omniglot", "__import__('torchvision')"),
        (VISION, SHIM, "import torchvision"),
        (NAMES, PLANS, "if learner.name == 'maml': pass"),
        (NAMES, PLANS, "things['prototypical'].slow = True"),
        (NAMES, PLANS, "isinstance(learner, MAML)"),
        (NAMES, PLANS, "plugins.Prototypical"),
        (NAMES, PLANS, "def f(maml): pass"),
    ],
)
def test_a_planted_violation_is_caught(rule, module, source):
    assert CHECKS[rule](module, source)


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (VISION, SHIM, "def f():\n    return importlib.import_module('torchvision.datasets')"),
        (NAMES, PLANS, "'''For instance maml.'''\nprint('write maml[inner_steps=1,5]')"),
        (NAMES, "bench_plugins.optimization_based.maml", "class MAML: pass"),
    ],
)
def test_what_is_allowed_is_not_caught(rule, module, source):
    assert not CHECKS[rule](module, source)
