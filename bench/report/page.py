"""Pages of a report: what one shows, how its parts are numbered and linked, and its text."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.report import folds
from bench.report.board_tables import Table
from bench.report.content import ENVIRONMENT, Content, Gap, Overview, Section, Suite
from bench.report.differences import Differences
from bench.report.figures import Drawing, Palette, Picture, data_uri
from bench.report.figures.style import slug
from bench.report.learners import LearnerPage
from bench.report.marks import legend, marks_of
from bench.results.boards import Board, Entry
from bench.results.families import BoardFamilies, FamilySummary
from bench.results.formats import MISSING, duration
from bench.results.order import OrderChange
from bench.results.ranks import ENOUGH_DATASETS, AverageRanks
from bench.results.rows import Place
from bench.results.written import listed
from bench.version import __version__

HERE = Path(__file__).parent / "pages"
FIGURES = "figures/"
"""Of the assets of a site."""
MOST_SENTENCES = 6
"""Of a board, before a fold."""
LIMITS = tuple((s, duration(s)) for s in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0))
"""Of the time to the first answer, to be chosen from: seconds, and in words."""
MOST_RANKS = 12
"""Learners in a sentence of ranks."""


class Image(NamedTuple):
    """A figure as ``<img>``: it runs no script and keeps its ids to itself."""

    uri: str
    alt: str
    caption: str
    width: int
    height: int


class Fold(NamedTuple):
    """What lies in a fold."""

    title: str
    tables: list[Table]
    pictures: list[Picture]
    more: bool
    """Whether it holds how many more seeds and episodes pairs take."""
    differences: Differences | None


@dataclass
class Page:
    """One file: what it shows, and what templates ask while they write it."""

    content: Content
    drawings: Mapping[int, Drawing | None]
    """By the id of a picture."""
    suites: Sequence[Suite]
    overview: bool
    """With the verdict, the overview and how it was made."""
    assets: str = ""
    """Where style, script and figures lie; empty: in the page itself."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Of a site, the file of a picture by its id."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Of a site, the page of each suite."""
    up: str = ""
    """The page with the overview, where this is another."""
    learners: Sequence[LearnerPage] = ()
    learner_files: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Of a site, the page of each learner by its family and name."""
    tables: int = 0
    figures: int = 0
    most_sentences: int = MOST_SENTENCES
    environment: Sequence[str] = ENVIRONMENT
    limits: Sequence[tuple[float, str]] = LIMITS

    # -- what the head says

    @property
    def heading(self) -> str:
        """On top."""
        return "Meta-learning results"

    @property
    def title(self) -> str:
        """Of the window."""
        if self.up and self.learners:
            return f"bench: {self.learners[0].name}"
        return f"bench: {', '.join(s.name for s in self.suites or self.content.suites)}"

    @property
    def style(self) -> Markup:
        """Of this page alone."""
        return Markup(style_sheet(self.content.palette))

    @property
    def script(self) -> Markup:
        """Of this page alone."""
        return Markup(script())

    @property
    def policy(self) -> Markup:
        """No other script runs, nothing is loaded from elsewhere."""
        if self.assets:
            return Markup("default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'")
        allowed = f"style-src 'unsafe-inline'; script-src '{_hash(script())}'"
        return Markup(f"default-src 'none'; img-src data:; {allowed}")

    @property
    def place(self) -> Place | None:
        """Where the times are measured that a reader may limit."""
        found = self.content.overview.matrix
        return found.place if found.timed else None

    @property
    def family_number(self) -> dict[str, int]:
        """Of the class that colours a family's mark."""
        return {family: number for number, family in enumerate(self.content.palette.families)}

    def marks(self, entry: Entry | None) -> str:
        """What has to be known of a learner's figure on a board."""
        return marks_of(entry) if entry else ""

    def legend(self, entries: Iterable[Entry]) -> str:
        """What their marks mean, with a space before it; empty where nothing is marked."""
        found = "; ".join(legend(map(marks_of, entries)))
        return found and f" {found}."

    # -- numbers and links

    def table(self) -> int:
        """The number of the next table."""
        self.tables += 1
        return self.tables

    def figure(self) -> int:
        """The number of the next figure."""
        self.figures += 1
        return self.figures

    def image(self, picture: Picture) -> Image | None:
        """A picture to be shown; None where it could not be drawn."""
        drawing = self.drawings.get(id(picture))
        if drawing is None:
            return None
        uri = f"{self.assets}{FIGURES}{self.names[id(picture)]}" if self.assets else ""
        uri = uri or data_uri(drawing.svg)
        return Image(uri, picture.alt, picture.caption, drawing.width, drawing.height)

    def anchor(self, what: Board | str) -> str:
        """Of a suite by its name, or of a board."""
        if isinstance(what, str):
            return slug("suite", what)
        version = f"v{what.suite_version}" if (what.suite_version or 1) > 1 else "v1"
        return slug(what.suite, version, what.setting, what.budget)

    def suite(self, name: str) -> str:
        """Where a suite is shown."""
        if any(own.name == name for own in self.suites):
            return f"#{self.anchor(name)}"
        return self.files.get(name, "")

    def board(self, board: Board) -> str:
        """Where a board is shown."""
        return f"{self.suite(board.suite).partition('#')[0]}#{self.anchor(board)}"

    def learner(self, family: str, name: str) -> str:
        """Where it is said what is known of a learner."""
        if any((own.family, own.name) == (family, name) for own in self.learners):
            return f"#{self.learner_anchor(family, name)}"
        return self.learner_files.get((family, name), "")

    def learner_anchor(self, family: str, name: str) -> str:
        """Of a learner on a page of all."""
        place = [(own.family, own.name) for own in self.content.learners].index((family, name))
        return slug("learner", str(place), name)

    def gaps_of(self, learner: LearnerPage) -> list[Gap]:
        """What of a learner is not there."""
        own = set(learner.cells)
        return [gap for gap in self.content.gaps if gap.cell in own]

    # -- what parts need to know

    def budgets(self, suite: Suite) -> int:
        """How many the settings of a suite have."""
        return len({section.board.budget for section in suite.sections})

    def folds(self, section: Section) -> Iterator[Fold]:
        """What of a board lies in folds, in their order."""
        for title in folds.FOLDS:
            tables = [table for table in section.tables if table.fold == title]
            pictures = [
                picture
                for picture in section.pictures
                if picture.fold == title and self.drawings.get(id(picture))
            ]
            more = title == folds.PAIRS and any(own.seeds is not None for own in section.more)
            square = section.differences if title == folds.PAIRS else None
            if tables or pictures or more or square:
                yield Fold(title, tables, pictures, more, square)

    def median(self, board: Board, family: str) -> str:
        """That of a family's learners on a board; nothing for fewer than two."""
        own = self._families.get((id(board), family))
        return board.metric.write(own.median) if own and own.deviation is not None else ""

    @cached_property
    def _families(self) -> dict[tuple[int, str], FamilySummary]:
        sections = [section for suite in self.content.suites for section in suite.sections]
        return {
            (id(section.board), own.family): own
            for section in sections
            for own in section.families.families
        }

    def against(self, found: BoardFamilies, row: str, column: str) -> str:
        """One family less another, in words."""
        metric = found.board.metric
        for pair in found.pairs:
            if {pair.a, pair.b} != {row, column}:
                continue
            if pair.reason:
                return pair.reason.partition(":")[0]
            mean = (pair.mean or 0.0) * (1 if pair.a == row else -1)
            difference = metric.write_difference(mean, "+").replace("-", "\N{MINUS SIGN}")
            half = f" ± {metric.write_difference(pair.ci95)}" if pair.ci95 else ""
            told = "told apart" if pair.told_apart else "not told apart"
            p = f"p = {pair.p_holm:.2g}" if (pair.p_holm or 0) >= 0.001 else "p < 0.001"
            return f"{difference}{half}; {told}, {p}"
        return MISSING

    def order_sentences(self, change: OrderChange) -> str:
        """Whether another protocol changes the order, with what the marks in it mean."""
        entries = [entry for both in change.entries.values() for entry in both]
        return " ".join(change.sentences(marks_of)) + self.legend(entries)

    def rank_sentences(self, overview: Overview) -> list[str]:
        """Mean ranks of families and learners over two datasets or more, and what may be claimed
        of them."""
        families = [overview.family_ranks] if overview.family_ranks else []
        how = "by the median learner"
        lines = [_ranks("Families", one, how) for one in _over_datasets(families)]
        lines += [_ranks("Learners", one, "") for one in _over_datasets(overview.ranks)]
        if not lines and overview.ranks:
            lines.append(
                "Ranks over datasets are told from two datasets on at one budget; to claim "
                f"anything of them takes {ENOUGH_DATASETS}."
            )
        return lines


def _over_datasets(ranks: Sequence[AverageRanks]) -> list[AverageRanks]:
    return [one for one in ranks if len(one.datasets) > 1]


def _ranks(what: str, ranks: AverageRanks, how: str) -> str:
    shown = list(zip(ranks.names, ranks.ranks, strict=True))
    names = ", ".join(f"{name} {rank:.2f}" for name, rank in shown[:MOST_RANKS])
    more = f" and {len(shown) - MOST_RANKS} more" if len(shown) > MOST_RANKS else ""
    datasets = f"{len(ranks.datasets)} dataset{'' if len(ranks.datasets) == 1 else 's'}"
    text = f"{what} by mean rank over {datasets}{f', {how}' if how else ''}"
    text += "" if ranks.budget == "none" else f", budget {ranks.budget}"
    text += f": {names}{more}."
    if ranks.datasets_left_out:
        text += f" Not all of them were asked on {listed(ranks.datasets_left_out)}."
    if ranks.left_out:
        out = ranks.left_out[:MOST_RANKS]
        further = len(ranks.left_out) - len(out)
        names = listed([*out, *([f"{further} more"] if further else [])])
        text += f" Left out, not complete everywhere: {names}."
    if ranks.p is None:
        few = len(ranks.datasets) < ENOUGH_DATASETS
        why = f"{ENOUGH_DATASETS} datasets" if few else "three that stand on all of them"
        return f"{text} Nothing is claimed of ranks: it takes {why}."
    ahead = [f"{a} ahead of {b}" for a, b in ranks.ahead[:MOST_RANKS]]
    told = "; ".join(ahead) if ahead else "no two can be told apart"
    return f"{text} Friedman's test: p = {ranks.p:.2g}; after Holm {told}."


# -- text -----------------------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,  # names, reasons and tracebacks come from plugins
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page) -> str:
    """The page as text. All that comes from plugins and files is escaped; only our own style and
    script are not, and the page's policy lets no other script run."""
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=page,
            content=page.content,
            version=__version__,
            written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


def style_sheet(palette: Palette) -> str:
    """The style of all pages, with the colours of the families."""
    own = (HERE / "style.css").read_text(encoding="utf-8")
    colours = [
        f".f{number} {{ --light: {palette.light(family)}; --dark: {palette.dark(family)}; }}"
        for number, family in enumerate(palette.families)
    ]
    return "\n".join([own, *colours])


def script() -> str:
    """The script of all pages."""
    return (HERE / "page.js").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a content security policy names the script between the tags, line breaks included."""
    digest = hashlib.sha256(f"\n{text}".encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
