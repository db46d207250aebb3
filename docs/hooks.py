"""What mkdocs does besides when it builds the site: see `hooks` in mkdocs.yml."""

from __future__ import annotations

import logging
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # the site is built without installing bench

from bench.cli import cli
from tests.helpers.public_names import missing

KEPT = re.compile(r"\x08\n((?:.+(?:\n|\Z))+)")
"""A paragraph that click prints as it is."""


def on_pre_build(config: Any) -> None:
    """Examples in the command line's help become code blocks."""
    commands: list[click.Command] = [cli]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
        if command.help:
            command.help = KEPT.sub(lambda m: textwrap.indent(m[1], "    "), command.help)


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings announce a block by "::", which Markdown does not know."""
    return html.replace("::</p>", ":</p>")


def on_post_build(config: Any) -> None:
    """Every public name is on a page: a warning ends a strict build."""
    inventory = (Path(config["site_dir"]) / "objects.inv").read_bytes()
    for name in missing(inventory):
        logging.getLogger("mkdocs").warning(f"{name} is public, and on no page of docs/reference/")
