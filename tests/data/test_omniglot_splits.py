"""The splits need no archives: they are facts about character numbers."""

import hashlib

import numpy as np
import pytest

from bench.api.dataset import ImageClasses, Split
from bench.data.omniglot import Omniglot
from bench.data.omniglot_archives import official

GROUPS = np.array([a.name for a in official().alphabets for _ in range(a.characters)])
ARCHIVES = np.array([a.archive for a in official().alphabets for _ in range(a.characters)])


def split(name: str) -> Split:
    unused: ImageClasses = None  # type: ignore[assignment]
    return Omniglot().split(name, unused)


@pytest.mark.parametrize(
    ("name", "sizes", "digest"),
    [
        ("vinyals", [1028, 172, 423], "5e5652c84150ca86"),
        ("santoro", [1100, 100, 423], "6f07803fd0c93fb3"),
        ("lake", [794, 170, 659], "f11372ffeac89c6a"),
    ],
)
def test_sizes_and_pinned_classes(name: str, sizes: list[int], digest: str) -> None:
    parts = split(name)
    assert [len(part) for part in parts] == sizes
    assert sorted(np.concatenate(parts)) == list(range(1623))  # disjoint, and nothing is lost
    assert all((np.diff(part) > 0).all() and part.dtype == np.int64 for part in parts)
    text = ";".join(",".join(map(str, part)) for part in parts)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


def test_all_names_are_known() -> None:
    assert [len(split(name)) for name in Omniglot.splits] == [3, 3, 3]


def test_lake_keeps_alphabets_and_sets_apart() -> None:
    parts = split("lake")
    alphabets = [set(GROUPS[part]) for part in parts]
    assert [len(names) for names in alphabets] == [25, 5, 20]
    assert len(set.union(*alphabets)) == 50
    assert set(ARCHIVES[parts.test]) == {"images_evaluation"}
    assert set(ARCHIVES[np.concatenate(parts[:2])]) == {"images_background"}


def test_santoro_mixes_alphabets() -> None:
    assert len(set(GROUPS[split("santoro").test])) > 40
