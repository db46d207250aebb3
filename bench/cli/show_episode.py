"""`bench show-episode`: what a learner saw of an episode, and what it answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from bench.cli.options import RESULTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.results.answers import ShownEpisode
    from bench.results.rows import CellRow
    from bench.store.answers import StoredAnswers

SHADES = " ░▒▓█"
WIDEST = 14
"""Characters of an image."""
BESIDE = 4
"""Images in a row."""


@click.command("show-episode")
@click.argument("suite")
@click.argument("learner")
@click.argument("number", metavar="N", type=click.IntRange(min=0))
@click.option(
    "--setting", default=None, metavar="NAME", help="[default: the first with stored answers]"
)
@click.option("--seed", type=int, default=None, help="[default: the lowest with stored answers]")
@click.option("--budget", default=None, metavar="BUDGET", help="[default: one with stored answers]")
@click.option(
    "--precision", default=None, metavar="NAME",
    help="fp32, bf16, 'fp32 compiled' or 'bf16 compiled'.  [default: one with stored answers]",
)  # fmt: skip
@RESULTS
def show_episode(
    suite: str,
    learner: str,
    number: int,
    setting: str | None,
    seed: int | None,
    budget: str | None,
    precision: str | None,
    results: str,
) -> None:
    """Shows episode N, from 0, of a bank as a learner answered it: support images, query images,
    answers and their confidence.

    It takes answers that were stored: bench run --store answers. The images of the first episodes
    are stored with them.
    """
    from bench.results.answers import episode_of

    asked = {"setting": setting, "seed": seed, "budget": budget, "precision": precision}
    row, others = _cell(results, suite, learner, asked)
    episode = episode_of(_answers(row, results), number)
    click.echo("\n".join(lines_of(row, episode, others)))


def _cell(
    results: str, suite: str, learner: str, asked: dict[str, Any]
) -> tuple[CellRow, list[CellRow]]:
    """The cell that is meant, and which others are of the same learner, setting and seed.

    Args:
        results: the results folder.
        suite: its name, or a glob.
        learner: the same.
        asked: values of a row's fields, by their names; None: any.

    Raises:
        BenchError: nothing that is stored fits.
    """
    from bench.errors import BenchError, unknown_name
    from bench.results.answers import has_answers
    from bench.results.formats import natural
    from bench.results.reading import read_results, select

    rows = select(read_results(results).rows, [suite], [learner])
    rows = [row for row in rows if row.learner == learner] or rows
    for name in ("setting", "budget", "precision"):
        if (value := asked[name]) is not None:
            known = {getattr(row, name) for row in rows}
            if value not in known:
                raise unknown_name(name, value, known, f"(of {suite}, {learner})")
            rows = [row for row in rows if getattr(row, name) == value]
    seed = asked["seed"]
    rows = [row for row in rows if seed is None or row.seed == seed]
    if not rows:
        raise BenchError(
            f"nothing is stored of {learner} on {suite} with seed {seed}; "
            "`bench results` lists what is"
        )

    def how_good(row: CellRow) -> tuple[Any, ...]:
        """The best one is the least; the rest of it says which, where several are as good."""
        done = row.status == "done"
        which = natural(row.setting), row.seed, natural(row.budget), row.precision
        return not (done and has_answers(row)), not done, *which

    chosen = min(rows, key=how_good)
    same = chosen.suite, chosen.learner, chosen.setting, chosen.seed
    return chosen, [row for row in rows if (row.suite, row.learner, row.setting, row.seed) == same]


def _answers(row: CellRow, results: str) -> StoredAnswers:
    """What it answered.

    Raises:
        BenchError: see `bench.results.answers.answers_of`; of what was not kept it says the command
            that keeps it.
    """
    from bench.errors import BenchError
    from bench.results.answers import NotKeptError, answers_of

    try:
        return answers_of(row)
    except NotKeptError as error:
        from bench.report.summary import commands

        [command] = commands([row], results)
        raise BenchError(f"{error}:\n{command} --store answers") from error


def lines_of(row: CellRow, episode: ShownEpisode, fitting: Sequence[CellRow] = ()) -> Iterator[str]:
    """The episode as text.

    Args:
        row: whose answers they are.
        episode: what was answered.
        fitting: the cells of the same learner, setting and seed: what tells this one is said.
    """
    from bench.cli.output import literal
    from bench.results.formats import percent

    where = f"{row.suite}, {row.setting}, seed {row.seed}"
    for name in ("budget", "precision", "device"):
        if len({getattr(other, name) for other in fitting}) > 1:
            where += f", {name} {getattr(row, name)}"
    where += f", episode {episode.number}"
    yield literal(f"{row.learner} on {where}: {percent(episode.accuracy)} % right")
    if len(episode.support_x):
        yield "\nsupport set"
        titles = [f"{label}: {literal(episode.names[label], 30)}" for label in episode.support_y]
        yield from _images(episode.support_x, titles)
    else:
        listed = ", ".join(f"{k}: {literal(name, 30)}" for k, name in enumerate(episode.names))
        yield f"\nclasses: {listed}"
    marks = [
        f"{'right' if answer.right else 'WRONG'} {answer.choice} ({percent(answer.confidence)} %)"
        + ("" if answer.right else f", is {answer.label}")
        for answer in episode.answers
    ]
    yield "\nanswers: the class, in brackets the probability that it was given"
    if len(episode.query_x):
        wrong = [k for k, answer in enumerate(episode.answers) if not answer.right]
        right = [k for k, answer in enumerate(episode.answers) if answer.right]
        shown = sorted([*wrong[: 2 * BESIDE], *right[:BESIDE]])
        yield from _images(episode.query_x[shown], [f"{k}: {marks[k]}" for k in shown])
        left = len(marks) - len(shown)
        if left:
            yield f"and {left} more, of which {len(wrong) - len(wrong[: 2 * BESIDE])} are wrong"
    else:
        yield from (f"{k:4}  {mark}" for k, mark in enumerate(marks))


def _images(images: NDArray[np.uint8], titles: list[str]) -> Iterator[str]:
    """Rows of images, each above its title."""
    for start in range(0, len(images), BESIDE):
        below = titles[start : start + BESIDE]
        widths = [max(len(title), WIDEST) + 2 for title in below]
        drawn = [[*shaded(image), title] for image, title in zip(images[start:], below)]  # noqa: B905 (a row)
        for parts in zip(*drawn, strict=True):
            line = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            yield "".join(line).rstrip()
        yield ""


def shaded(image: NDArray[Any]) -> list[str]:
    """An image (C, H, W) of uint8 as lines of characters, a character for twice as many rows as
    columns, ink dark on light as light on dark: what differs from its border is drawn."""
    import numpy as np

    grey = image.mean(0)
    ground = float(np.median([grey[0], grey[-1]]))
    ink = np.abs(grey - ground)
    step = max(1, -(-grey.shape[1] // WIDEST))
    rows, columns = -(-grey.shape[0] // (2 * step)), -(-grey.shape[1] // step)
    padded = np.zeros((rows * 2 * step, columns * step))
    padded[: grey.shape[0], : grey.shape[1]] = ink
    cells = padded.reshape(rows, 2 * step, columns, step).mean((1, 3))
    top = cells.max() or 1.0
    level = np.minimum((cells / top * len(SHADES)).astype(int), len(SHADES) - 1)
    return ["".join(SHADES[k] for k in line) for line in level.tolist()]
