"""The report as one self-contained HTML page."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report.content import ENVIRONMENT, Content
from bench.report.figures import Palette, Picture, data_uri
from bench.store.checked import Problem
from bench.version import __version__

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Image:
    """A figure as ``<img>``: it runs no script and keeps its ids to itself."""

    uri: str
    alt: str
    caption: str


def render(content: Content) -> str:
    """The page as text. All that comes from plugins and files is escaped; only our own style and
    script are not, and the page's policy lets no other script run."""
    palette = content.palette
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,  # names, reasons and tracebacks come from plugins
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    images = partial(_images, palette, content.problems)
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.jinja").render(
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=_hash(script),
        comma=Markup(",<wbr>"),  # long names break between options
        colours=[(palette.light(f), palette.dark(f)) for f in palette.families],
        family_number={family: number for number, family in enumerate(palette.families)},
        version=__version__,
        written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        content=content,
        ranks=images(content.ranks),
        overviews={suite: images(pictures) for suite, pictures in content.overviews.items()},
        images={
            suite: [images(section.pictures) for section in sections]
            for suite, sections in content.suites.items()
        },
        environment_columns=ENVIRONMENT,
    )


def _images(palette: Palette, problems: list[Problem], pictures: Sequence[Picture]) -> list[Image]:
    """Those that can be drawn; the others are problems."""
    drawn = ((picture, data_uri(picture, palette, problems)) for picture in pictures)
    return [Image(uri, picture.alt, picture.caption) for picture, uri in drawn if uri]


def _hash(script: str) -> str:
    """As a content security policy names the script between the tags, line breaks included."""
    digest = hashlib.sha256(f"\n{script}".encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
