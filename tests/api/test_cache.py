import errno
import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.cache import cached
from bench.api.dataset import ImageClasses
from bench.api.files import FORGOTTEN, owner
from bench.errors import BenchError

KEY = "toy-4-v1"


def toy(seed: int = 0) -> ImageClasses:
    """3 classes of 2 images."""
    images = np.random.default_rng(seed).integers(0, 256, (6, 1, 4, 4), dtype=np.uint8)
    return ImageClasses(
        name="toy",
        images=torch.from_numpy(images),
        starts=np.array([0, 2, 4]),
        counts=np.array([2, 2, 2]),
        class_names=("a", "b", "ç"),
        groups=("x", "x", "y"),
        content="0123",
    )


def never() -> ImageClasses:
    raise AssertionError("built again")


def assert_is_toy(data: ImageClasses) -> None:
    expected = toy()
    assert torch.equal(data.images, expected.images)
    assert data.starts.tolist() == [0, 2, 4]
    assert data.counts.tolist() == [2, 2, 2]
    assert data.starts.dtype == data.counts.dtype == np.int64
    for field in ("name", "class_names", "groups", "content"):
        assert getattr(data, field) == getattr(expected, field)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A cache folder that holds the toy."""
    cached(tmp_path / "cache", KEY, toy)
    return tmp_path / "cache"


def test_built_once(stored: Path) -> None:
    assert_is_toy(cached(stored, KEY, never))
    assert sorted(path.name for path in stored.iterdir()) == [f"{KEY}.json", f"{KEY}.npy"]


@pytest.mark.filterwarnings("error")
def test_mapped_images_are_private(stored: Path) -> None:
    """torch warns of memory that it must not write; writing must not reach the file."""
    cached(stored, KEY, never).images.zero_()
    assert_is_toy(cached(stored, KEY, never))


def test_other_keys_are_other_datasets(stored: Path) -> None:
    other = cached(stored, "toy-4-v2", lambda: toy(1))
    assert not torch.equal(other.images, toy().images)
    assert_is_toy(cached(stored, KEY, never))


@pytest.mark.parametrize("kept", [0, 1, 60, 128, -1])
@pytest.mark.parametrize("ending", ["npy", "json"])
def test_a_file_cut_off_is_built_again(stored: Path, ending: str, kept: int) -> None:
    path = stored / f"{KEY}.{ending}"
    path.write_bytes(path.read_bytes()[:kept])
    calls = []

    def build() -> ImageClasses:
        calls.append(1)
        return toy()

    assert_is_toy(cached(stored, KEY, build))
    assert calls == [1]
    assert_is_toy(cached(stored, KEY, never))


def test_one_altered_pixel_is_noticed(stored: Path) -> None:
    path = stored / f"{KEY}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(AssertionError, match="built again"):
        cached(stored, KEY, never)


def test_a_pickle_is_not_read(stored: Path) -> None:
    np.save(stored / f"{KEY}.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert_is_toy(cached(stored, KEY, toy))


@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"key": "toy-4-v1"}', "\xff"])
def test_a_foreign_json_is_not_trusted(stored: Path, text: str) -> None:
    (stored / f"{KEY}.json").write_text(text, encoding="latin-1")
    assert_is_toy(cached(stored, KEY, toy))


def test_a_file_renamed_to_another_key_is_not_trusted(stored: Path) -> None:
    for ending in ("npy", "json"):
        (stored / f"{KEY}.{ending}").rename(stored / f"toy-8-v1.{ending}")
    with pytest.raises(AssertionError, match="built again"):
        cached(stored, "toy-8-v1", never)


def test_new_images_beside_the_old_json_are_not_trusted(stored: Path) -> None:
    """What a process leaves that is killed between the two renames."""
    np.save(stored / f"{KEY}.npy", toy(1).images.numpy())
    assert_is_toy(cached(stored, KEY, toy))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("step", ["numpy.save", "pathlib.Path.write_text", "pathlib.Path.replace"])
def test_a_full_or_read_only_folder_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(step, fail)
        with pytest.raises(BenchError) as caught:
            cached(tmp_path, KEY, toy)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert os.strerror(number) in message
    assert "BENCH_CACHE_DIR" in message
    assert list(tmp_path.iterdir()) == []
    assert_is_toy(cached(tmp_path, KEY, toy))


def test_writing_is_tried_before_building(tmp_path: Path) -> None:
    """Nobody waits for a decoding that has no place to go."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BenchError, match="BENCH_CACHE_DIR"):
        cached(tmp_path / "file" / "cache", KEY, never)


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> ImageClasses:
        raise BenchError("no archives")

    with pytest.raises(BenchError, match="no archives"):
        cached(tmp_path, KEY, fail)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_later(tmp_path: Path) -> None:
    mine = f".building-{owner()}-abc"  # as of a build that takes weeks
    for name, age in ((".building-old", FORGOTTEN + 60), (".building-new", 10), (mine, 1e7)):
        (tmp_path / name).mkdir()
        then = time.time() - age
        os.utime(tmp_path / name, (then, then))
    cached(tmp_path, KEY, toy)
    left = sorted(path.name for path in tmp_path.glob(".building-*"))
    assert left == sorted([".building-new", mine])


@pytest.mark.parametrize("change", ["starts", "counts", "class_names", "groups", "content", "name"])
def test_what_is_said_about_the_images_has_a_checksum(stored: Path, change: str) -> None:
    path = stored / f"{KEY}.json"
    about = json.loads(path.read_text())
    value = about[change]
    about[change] = value + "x" if isinstance(value, str) else value[::-1] + value[:0]
    if about[change] == value:
        about[change] = [*value[:-1], value[0]]
    path.write_text(json.dumps(about))
    built = []
    assert_is_toy(cached(stored, KEY, lambda: built.append(1) or toy()))
    assert built or about[change] == value


def _build_slowly(folder: Path, barrier: "multiprocessing.synchronize.Barrier") -> None:
    def build() -> ImageClasses:
        barrier.wait(60)  # all of them build before any of them writes
        return toy()

    assert_is_toy(cached(folder, KEY, build))


def test_processes_that_build_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    workers = [context.Process(target=_build_slowly, args=(tmp_path, barrier)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert_is_toy(cached(tmp_path, KEY, never))
    assert json.loads((tmp_path / f"{KEY}.json").read_text())["content"] == "0123"
    assert len(list(tmp_path.iterdir())) == 2
