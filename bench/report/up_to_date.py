"""Whether a page still says what is stored: a run that computes nothing need not draw it again.

The last line of a page is a hash of all that it is made of, and of the page. What was cut or
changed since is not taken for up to date. Nothing slow is imported here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.store import layout

CODE = Path(__file__).parents[1]
PAGE, SITE, INDEX = "report.html", "report", "index.html"
LEADS = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={SITE}/{INDEX}">
<title>bench: report</title>
<p>The report of several suites is a folder of pages: <a href="{SITE}/{INDEX}">{SITE}/{INDEX}</a>.
<code>bench report --single</code> puts them on one page.</p>
</html>
"""
"""What stands in `PAGE` where the report is a site."""
UNREAD = {layout.LOG, layout.LOCK, layout.LEASE, layout.CHECKPOINT, layout.WEIGHTS}
"""Files of a results folder that no page is made of."""
DEPTH = 4
"""Folders in folders: ``cells/<suite>/<setting>/<cell>/timings``. A link may lead back up."""

BEFORE, AFTER = b"<!-- made of ", b" -->\n"


def made_of(results: Path, sources: Mapping[str, str] | None, *chosen: object) -> str:
    """A hash of all that a page is made of: what is stored, by the time and size of each file;
    who made it; the code that draws. Taken before the files are read, so that what is written
    meanwhile makes another.

    Args:
        results: the results folder.
        sources: see `bench.report.write_report`.
        chosen: what of the folder is shown.
    """
    digest = hashlib.sha256(json.dumps([str(results), sources, chosen], sort_keys=True).encode())
    for folder in (CODE, results / layout.CELLS, results / layout.TRAININGS):
        for line in sorted(_files(folder)):
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path, levels: int = DEPTH) -> Iterator[str]:
    try:
        found = list(os.scandir(folder))
    except OSError:
        return
    for entry in found:
        if _is_folder(entry):
            if levels and entry.name != "__pycache__":
                yield from _files(Path(entry.path), levels - 1)
        elif entry.name not in UNREAD and not entry.name.endswith(layout.PARTIAL):
            try:
                about = entry.stat()
                yield f"{entry.path} {about.st_size} {about.st_mtime_ns}\n"
            except OSError:
                yield f"{entry.path} ?\n"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def marked(page: bytes, made: str) -> bytes:
    """A page with the line that tells what it is made of."""
    return page + BEFORE + _mark(page, made) + AFTER


def up_to_date(page: Path, made: str) -> bool:
    """Whether a file is a page that was made of the same, and is whole."""
    try:
        content = page.read_bytes() if page.is_file() else b""
    except OSError:
        return False
    body, before, mark = content.rpartition(BEFORE)
    return bool(before) and mark == _mark(body, made) + AFTER


def standing(results: Path, made: str) -> Path | None:
    """The page, or the first one of the site, that says what is stored; None where none does.

    Args:
        results: the results folder.
        made: of `made_of`.
    """
    page, index = results / PAGE, results / SITE / INDEX
    if not up_to_date(page, made):
        return None
    if not page.read_bytes().startswith(LEADS.encode()):
        return page
    return index if up_to_date(index, made) else None


def _mark(page: bytes, made: str) -> bytes:
    return hashlib.sha256(made.encode() + page).hexdigest().encode()
