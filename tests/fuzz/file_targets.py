"""Targets of files from elsewhere: results, images, archives, caches, weights."""

from __future__ import annotations

import contextlib
import io
import pickle
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image

import bench
from bench.api.cache import cached, stored
from bench.api.dataset import DataFolders, ImageClasses
from bench.cli.terminal import Format, board_text, render
from bench.data.class_folder import ClassFolder
from bench.data.image_folder import ImageFolder
from bench.data.inert_pickle import NotInertError, read_inert
from bench.data.omniglot_archives import SIDE, Alphabet, Reference, read_verified, sha256
from bench.report.content import gather
from bench.report.exports import WRITERS
from bench.results.boards import boards
from bench.results.compare import compare_results
from bench.results.reading import read_results
from bench.results.table import columns_of, records
from bench.store.files import audit_records, learning_curve
from bench.store.records import Audit, AuditResult, CurvePoint
from tests.fuzz.mutations import ODD_BYTES, mutate_bytes, mutate_json
from tests.fuzz.target import Target
from tests.fuzz.targets import scratch, written
from tests.helpers import synthetic

# -- results --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A finished results folder, whose files are damaged one at a time."""

    root: Path
    files: dict[str, bytes]

    @classmethod
    def made(cls, root: Path, *cells: Path) -> Stored:
        """Of cells in `root`: gives them their trainings, and keeps what there is."""
        point = CurvePoint(updates=1, examples=10, seconds=1.0, loss=None, val_accuracy=0.5)
        audit = Audit(name="a", outcome="failed", explanation="b", found="c", value=0.5)
        audits = AuditResult(
            audits=[audit], seconds=1, environment=synthetic.environment(), source="5ec0de",
            finished=synthetic.NOW,
        )  # fmt: skip
        for cell in cells:
            if not (cell / "result.json").exists():
                continue
            training = synthetic.write_training(root, cell, curve=[point, point])
            synthetic.store(training / "audits.json", audits)
        found = [path for path in sorted(root.rglob("*")) if path.is_file()]
        return cls(root, {str(path.relative_to(root)): path.read_bytes() for path in found})

    @contextmanager
    def damaged(self, name: str, content: bytes) -> Iterator[None]:
        """With another content of a file, for a while."""
        (self.root / name).write_bytes(content)
        try:
            yield
        finally:
            (self.root / name).write_bytes(self.files[name])


def cells_in(root: Path) -> list[Path]:
    """Two k-shot cells, an online one, a memory probe and a failed one."""
    return [
        synthetic.write_cell(root, "maml", episodes=4, timed={"cpu/1": 0.01}),
        synthetic.write_cell(root, "maml", episodes=4, seed=1),
        synthetic.write_cell(root, "mann", episodes=4, by_presentation=[0.2, 0.5], suite="online"),
        synthetic.write_probe(root, items=2, heads=("read",)),
        synthetic.write_cell(root, "snail", episodes=4, status="failed", timed={"cpu": 0.1}),
    ]


@cache
def whole() -> Stored:
    """All of them in one folder."""
    root = scratch() / "results"
    return Stored.made(root, *cells_in(root))


@cache
def single() -> list[Stored]:
    """Each in a folder of its own, which is read faster."""
    folders = []
    for number, cell in enumerate(cells_in(scratch() / "made")):
        root = scratch() / f"results-{number}"
        own = root / cell.relative_to(scratch() / "made")
        shutil.copytree(cell, own)
        folders.append(Stored.made(root, own))
    return folders


def result_cases(folders: Iterable[Stored]) -> list[bytes]:
    """``PATH`` in a line, then the file's content."""
    return [
        name.encode() + b"\n" + content
        for folder in folders
        for name, content in folder.files.items()
    ]


def mutate_result(content: bytes, random: Random) -> bytes:
    """Keeps the path."""
    name, _, file = content.partition(b"\n")
    mutate = mutate_json if name.endswith(b".json") else mutate_bytes
    return name + b"\n" + mutate(file, random)


def read_rows(content: bytes) -> None:
    """What `bench results` and the end of `bench run` show."""
    name, _, file = content.partition(b"\n")
    for folder in single():
        if name.decode("utf-8", "replace") not in folder.files:
            continue
        with folder.damaged(name.decode(), file):
            found = read_results(folder.root)
            rows = records(found.rows)
            for form in FORMS:
                render(rows, list(columns_of(found.rows)), form, terminal=False)
            for board in boards(found.rows):
                board_text(board, terminal=False)
            for row in found.rows:
                learning_curve(folder.root, row.training or "")
                audit_records(folder.root, row.training or "")


def read_report(content: bytes) -> None:
    """What `bench report`, but for the drawing, `bench compare` and `bench.load_results` read."""
    name, _, file = content.partition(b"\n")
    folder = whole()
    if name.decode("utf-8", "replace") not in folder.files:
        return
    with folder.damaged(name.decode(), file):
        found = read_results(folder.root)
        compare_results(found.rows, found.rows)
        for table in gather(found).tables:
            for _, write in WRITERS.values():
                write(table).encode()
        bench.load_results(folder.root)


FORMS: tuple[Format, ...] = ("table", "csv", "json")

# -- images ---------------------------------------------------------------------------------------

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "PPM")


def images() -> list[bytes]:
    """Small ones of each format, in several modes."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 4), np.uint8)
    colour = Image.fromarray(pixels[..., :3])
    made = [_image(colour, form) for form in FORMATS]
    made += [_image(Image.fromarray(pixels), "PNG"), _image(colour.convert("1"), "PNG")]
    made += [_image(colour.convert("P"), "PNG"), _image(colour.convert("L"), "JPEG")]
    made.append(_image(Image.fromarray(pixels[..., 0].astype(np.uint16) * 257), "PNG"))
    rotated = Image.Exif()
    rotated[0x0112] = 6  # orientation
    made.append(_image(colour, "JPEG", exif=rotated.tobytes()))
    return made


def _image(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def read_image(content: bytes) -> None:
    """A folder of one class with that image, decoded and counted."""
    root = scratch() / "images"
    (root / "a").mkdir(parents=True, exist_ok=True)
    (root / "a" / "0.png").write_bytes(content)
    folder = ImageFolder(ClassFolder(path=str(root)))
    folder.verify(DataFolders(None, scratch() / "no-cache"), lambda message: None)


# -- archives -------------------------------------------------------------------------------------


@cache
def archive() -> tuple[Reference, bytes]:
    """One character by two drawers, as an archive of Omniglot, and what should be in it."""
    ink = (np.random.default_rng(0).random((2, SIDE, SIDE)) < 0.02).astype(np.uint8)
    bits = np.packbits(ink.reshape(2, -1), axis=1)
    alphabet = Alphabet("images_background", "Zulu", 1, 1, sha256(bits))
    reference = Reference((alphabet,), drawers=2, content=sha256(bits))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for row, name in enumerate(reference.members("images_background")):
            packed.writestr(name, _image(Image.fromarray(ink[row] == 0), "PNG"))
    return reference, file.getvalue()


def read_archive(content: bytes) -> None:
    """A zip file in the place of Omniglot's."""
    reference, _ = archive()
    read_verified(reference, {"images_background": written("images_background.zip", content)})


def read_pickle(content: bytes) -> None:
    """A pickle that an old dataset was published in."""
    with contextlib.suppress(NotInertError):  # whoever reads one says which file it is
        read_inert(content)


def pickles() -> list[bytes]:
    """Of plain values and an array, in every protocol."""
    said = {b"labels": [1, 2], "names": ("a", "b"), "data": np.zeros((2, 3), np.uint8), "x": 0.5}
    return [pickle.dumps(said, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]


# -- caches ---------------------------------------------------------------------------------------


@cache
def cache_files() -> tuple[Path, dict[str, bytes]]:
    """The two files of a cached dataset."""
    folder = scratch() / "cache"
    data = ImageClasses(
        "d", torch.zeros(4, 1, 2, 2, dtype=torch.uint8), np.array([0, 2]), np.array([2, 2]),
        ("a", "b"), ("g", "g"), "0123",
    )  # fmt: skip
    cached(folder, "d", lambda: data)
    return folder, {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def cache_cases() -> list[bytes]:
    """``NAME`` in a line, then the file."""
    return [name.encode() + b"\n" + content for name, content in cache_files()[1].items()]


def read_cache(content: bytes) -> None:
    """What is damaged is None, and what is not can be used."""
    line, _, file = content.partition(b"\n")
    folder, files = cache_files()
    name = line.decode("utf-8", "replace")
    if name not in files:
        return
    (folder / name).write_bytes(file)
    try:
        found = stored(folder, "d")
        if found is not None:
            for start, count in zip(found.starts, found.counts, strict=True):
                assert len(found.images[start : start + count]) == count > 0
            assert len(found.class_names) == len(found.groups) == len(found.counts)
    finally:
        (folder / name).write_bytes(files[name])


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n"
IMAGE_BYTES = (*ODD_BYTES, EPS, b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\xff\xff")

TARGETS = [
    Target("results", read_rows, mutate_result, result_cases(single()), 20),
    Target("reports", read_report, mutate_result, result_cases([whole()]), 1),
    Target("images", read_image, lambda c, r: mutate_bytes(c, r, IMAGE_BYTES), images(), 10),
    Target("archives", read_archive, mutate_bytes, [archive()[1]], 15),
    Target("pickles", read_pickle, mutate_bytes, pickles(), 40),
    Target("caches", read_cache, mutate_result, cache_cases(), 20),
]
