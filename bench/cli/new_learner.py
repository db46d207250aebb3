"""`bench new-learner`: an installable package with a learner to fill in."""

from __future__ import annotations

import builtins
import keyword
import re
from pathlib import Path

import click

from bench.api.files import is_file, is_folder
from bench.errors import BenchError

TEMPLATES = Path(__file__).parent / "templates"
IMPORTED = {"Learner", "NoveltyLogit", "State", "TaskSpec", "Tensor"}
"""Names that the learner's file uses; its class takes another one."""


@click.command("new-learner")
@click.argument("name")
@click.option(
    "--dir", "parent", type=click.Path(file_okay=False, path_type=Path), default=".",
    show_default=True, help="Where the folder of the package is made.",
)  # fmt: skip
def new_learner(name: str, parent: Path) -> None:
    """Makes the package bench-NAME: a working learner to change, its tests, and the next steps.

    NAME is what --learner will say: lower-case words with hyphens.
    """
    check_name(name)
    folder = parent / f"bench-{name}"
    if is_folder(folder) or is_file(folder):
        raise BenchError(f"{folder} exists already; choose another name, or another --dir")
    module = f"bench_{name.replace('-', '_')}"
    values = {"name": name, "module": module, "class_name": class_name(name)}
    try:
        for path, text in render(values).items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BenchError(
            f"cannot write {folder} ({error.strerror}); choose another --dir"
        ) from error
    click.echo(f"{folder} is made. Go on with:\n")
    click.echo(f"  cd {folder} && pip install -e . && bench check {name}\n")
    click.echo(f"{folder / f'{module}.py'} is the learner, README.md tells the steps.")


def check_name(name: str) -> None:
    """Raises a `BenchError` for a name that cannot be a learner's, or is one's already."""
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    from bench.registry import names

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise BenchError(
            f"{name!r} cannot be the name of a learner; write lower-case letters and digits, with "
            "hyphens between words, for instance 'my-learner'"
        )
    names.check_name(name)
    for point in entry_points(group="bench.learners", name=name):
        owner = point.dist.name if point.dist else "another package"
        raise BenchError(f"{owner} has a learner {name!r} already; choose another name")
    module = f"bench_{name.replace('-', '_')}"
    if find_spec(module):
        raise BenchError(f"a package {module!r} is installed already; choose another name")


def class_name(name: str) -> str:
    """``MyLearner`` for ``my-learner``; ``NoneLearner`` where the plain one means something."""
    plain = "".join(word.capitalize() for word in name.split("-"))
    taken = keyword.iskeyword(plain) or hasattr(builtins, plain) or plain in IMPORTED
    return f"{plain}Learner" if taken else plain


def render(values: dict[str, str]) -> dict[str, str]:
    """The files of the package: path in its folder to text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )  # nothing is escaped: it is no HTML
    paths = {
        "pyproject.toml": "pyproject.toml.jinja",
        "README.md": "README.md.jinja",
        f"{values['module']}.py": "learner.py.jinja",
        f"tests/test_{values['module']}.py": "test_learner.py.jinja",
    }
    return {path: templates.get_template(name).render(values) for path, name in paths.items()}
