"""What the pages under docs/ show is true: their code runs, their output is what they say.

A page's fenced blocks run in order, in one temporary folder:

* ``python`` and ``toml`` with a path in a first-line comment (``# suite.toml``) are written to that
  file; other ``python`` blocks run, all of a page in one namespace.
* ``console``: lines after ``$ `` are commands, what follows is compared with what they print, where
  anything is; ``...`` stands for any text, and white space is all alike. A command that ends with
  another exit code than 0 is followed by ``(exit code 2)``.

Commands run in this process, and `bench run` in it too (``--executor inline --device cpu/1``),
because importing torch takes seconds; ``pip install -e`` puts a copy into a folder on the path.

``<!-- not run: reason -->`` before a block says why it is shown only; blocks in other languages, or
in none, are shown only.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from bench.cli import main

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
RUN = {"python", "toml", "console"}
LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    text: str
    line: int
    """Of the page, where its text begins; counted from 1."""

    @property
    def file(self) -> str | None:
        """What a first-line comment names: the file that the block is."""
        named = re.fullmatch(r"# ([\w./-]+\.(?:py|toml))", self.text.partition("\n")[0])
        return named and named[1]

    @property
    def commands(self) -> list[tuple[int, str, str]]:
        """Line, command and the output shown."""
        found: list[tuple[int, str, str]] = []
        for number, line in enumerate(self.text.splitlines(keepends=True), self.line):
            if line.startswith("$ "):
                found.append((number, line[2:].strip(), ""))
            else:
                start, command, shown = found[-1]
                found[-1] = start, command, shown + line
        return found


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks that are to be run."""
    excused = False
    for token in MarkdownIt().parse(markdown):
        if token.type == "fence" and token.info in RUN and not excused:
            assert token.map is not None
            yield Block(token.info, token.content, token.map[0] + 2)
        excused = token.type == "html_block" and "<!-- not run: " in token.content


@dataclass
class Reader:
    """Does what a page says, in the current folder."""

    page: str
    put_on_path: Callable[[Path], None]
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    names: dict[str, Any] = field(default_factory=lambda: {"REPOSITORY": DOCS.parent})

    def follow(self, markdown: str) -> None:
        for block in blocks(markdown):
            if block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                above = "\n" * (block.line - 1)  # tracebacks tell the line of the page
                exec(compile(above + block.text, self.page, "exec"), self.names)
            elif block.language == "console":
                for line, command, shown in block.commands:
                    self.compare(f"{self.page}, line {line}: {command}", command, shown)
            else:
                raise AssertionError(f"{self.page}, line {block.line}: name the file")

    def compare(self, where: str, command: str, shown: str) -> None:
        code, printed = self.run(shlex.split(command, comments=True))
        ending = re.search(r"^\(exit code (\d+)\)\n\Z", shown, re.MULTILINE)
        expected = int(ending[1]) if ending else 0
        assert code == expected, f"{where}\nended with {code}:\n{printed}"
        shown = shown[: ending.start()] if ending else shown
        checker = doctest.OutputChecker()
        if shown.strip() and not checker.check_output(shown, printed, LIKE):
            example = doctest.Example("", shown)
            raise AssertionError(f"{where}\n{checker.output_difference(example, printed, LIKE)}")

    def run(self, words: list[str]) -> tuple[int, str]:
        """Exit code, and what it printed: where it failed, on both streams."""
        match words:
            case ["cd", folder]:
                self.monkeypatch.chdir(folder)
                return 0, ""
            case ["export", setting]:
                self.monkeypatch.setenv(*setting.split("=", 1))
                return 0, ""
            case ["cp", file, folder]:
                shutil.copy(file, folder)
                return 0, ""
            case ["bench", *rest]:
                if rest[0] == "run":
                    rest += ["--device", "cpu/1"]
                    rest += [] if "--executor" in rest else ["--executor", "inline"]
                return self.bench(rest)
            case ["pip", "install", "-e", project]:
                site = Path("site").absolute()
                words = ["pip", "install", "--quiet", "--no-index", "--no-deps"]
                words += ["--no-build-isolation", "--disable-pip-version-check"]
                ended = python(*words, "--target", str(site), project.partition("[")[0])
                self.put_on_path(site)
                return ended
            case ["pytest", *rest]:
                return python("pytest", "-p", "no:cacheprovider", *rest)
        raise AssertionError(f"{words[0]!r} is no command that this test can run")

    def bench(self, arguments: list[str]) -> tuple[int, str]:
        self.monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return told(int(ended.value.code or 0), *self.capture.readouterr())


def python(*arguments: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False
    )
    return told(ran.returncode, ran.stdout, ran.stderr)


def told(code: int, out: str, err: str) -> tuple[int, str]:
    return code, out + err if code else out


@pytest.fixture
def reader(tmp_path, monkeypatch, put_on_path, capfd) -> Iterator[Reader]:
    """Someone in an empty folder, whose imports are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "200")  # tables are not cut
    before = set(sys.modules)
    yield Reader("page", put_on_path, monkeypatch, capfd)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path) + os.sep):
            del sys.modules[name]


SHOW = {page: list(blocks(page.read_text(encoding="utf-8"))) for page in PAGES}
RUNNING = [page for page in PAGES if SHOW[page]]


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_what_the_page_shows(page, reader):
    reader.page = str(page)
    reader.follow(page.read_text(encoding="utf-8"))


def test_pages_are_found_and_have_something_to_run():
    shown = {str(page.relative_to(DOCS)): len(found) for page, found in SHOW.items()}
    for page in ("write-a-learner", "write-a-suite", "bring-your-data", "protocol"):
        assert shown[f"{page}.md"] >= 5, page
    for page in ("index", "running", "results"):
        assert shown[f"{page}.md"] >= 1, page


WRONG = {
    "an assertion": "```python\nassert 1 + 1 == 3\n```",
    "an output": "```console\n$ bench --version\nbench 99\n```",
    "a command": "```console\n$ bench runs\n```",
    "an option": "```console\n$ bench list learners --colour\n```",
    "an exit code": "```console\n$ bench --version\n(exit code 1)\n```",
    "a failing command": "```console\n$ bench show no-such-thing\nError: ...\n```",
    "a name": "```python\nfrom bench.api import Student\n```",
    "no file": '```toml\nname = "lost"\n```',
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_block_is_noticed(wrong, reader):
    with pytest.raises((AssertionError, ImportError)):
        reader.follow(f"# Page\n\n{WRONG[wrong]}\n")
    reader.follow(f"<!-- not run: it is wrong -->\n\n{WRONG[wrong]}\n")


def test_the_line_of_the_page_is_told(reader):
    with pytest.raises(AssertionError, match="page, line 6: bench runs"):
        reader.follow("# Page\n\nText.\n\n```console\n$ bench runs\n```\n")
