"""`bench compare`: learners whose seeds were trained on several devices."""

from __future__ import annotations

import pytest

from tests.helpers.scored_boards import drawn, write_scores
from tests.results.test_compare import GOOD, WORSE, bench, rows

MIXED = {0: "cpu", 1: "cuda", 2: "cuda"}
"""By seed, where it was trained."""


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "before", tmp_path / "after"


def write_on(root, devices, means=GOOD, learner="maml", **changes):
    """Seeds on these devices, by seed or in the order of the seeds."""
    placed = devices.items() if isinstance(devices, dict) else enumerate(devices)
    scores = drawn(means)
    for seed, device in placed:
        write_scores(root, learner, scores[seed], seed, device=device, **changes)


def by_device(*arguments):
    """What is compared, by the device of A: the order is that of the folders' names."""
    return sorted(rows(*arguments), key=lambda row: row["a"]["device"])


def sides(told):
    return [
        tuple(side and (side["device"], side["seeds"]) for side in (row["a"], row["b"]))
        for row in told
    ]


@pytest.mark.parametrize("after", [
    ["cpu", "cuda", "cuda"], ["cuda", "cpu", "cuda"], ["cuda", "cuda", "cuda"],
    ["cpu", "cuda", "mps"], ["cuda", "cuda:0", "cuda:1"],
])  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_seeds_of_several_devices_are_one_learner(folders, after, turned):
    """As on a board: else each device has too few seeds for a regression to be seen."""
    a, b = folders
    write_on(a, after if turned else MIXED, GOOD)
    write_on(b, MIXED if turned else after, WORSE)
    [row] = rows(a, b)
    assert (row["verdict"], row["regression"], row["lost"]) == ("worse", True, [])
    assert (row["difference"]["about"], row["difference"]["n"]) == ("learners", 3)
    assert bench(a, b).exit_code == 1


def test_that_the_devices_are_others_is_told(folders):
    a, b = folders
    write_on(a, ["cuda"] * 3)
    write_on(b, MIXED)
    [row] = rows(a, b)
    assert row["changes"]["device"] == ["cuda", "cpu or cuda"]


def test_a_seed_that_is_there_from_two_devices_is_compared_on_each(folders):
    for root in folders:
        write_on(root, MIXED)
        write_on(root, {0: "cuda"})
    told = by_device(*folders)
    assert sides(told) == [(("cpu", [0]),) * 2, (("cuda", [0, 1, 2]),) * 2]
    assert [row["difference"]["about"] for row in told] == ["weights", "learners"]


def test_what_a_has_on_each_device_is_asked_of_b_on_each(folders):
    """Seed 0 of cuda is lost in B, and seed 0 of the CPU does not stand in for it."""
    a, b = folders
    for root in folders:
        write_on(root, MIXED)
    write_on(a, {0: "cuda"})
    told = by_device(a, b)
    assert sides(told) == [(("cpu", [0]),) * 2, (("cuda", [0, 1, 2]), ("cuda", [1, 2]))]
    assert [row["lost"] for row in told] == [[], [{"seed": 0, "status": "missing"}]]


def test_a_further_training_of_a_seed_does_not_hide_a_regression(folders):
    """B has all three seeds on cuda, and beside them seed 0 on the CPU."""
    a, b = folders
    write_on(a, MIXED, GOOD)
    write_on(b, MIXED, WORSE)
    write_on(b, {0: "cuda"}, WORSE)
    told = {row["b"]["device"]: row for row in rows(a, b)}
    assert told["cuda"]["regression"]
    assert told["cuda"]["b"]["seeds"] == [0, 1, 2]
    assert (told["cpu"]["reason"], told["cpu"]["lost"]) == ("only in B", [])


def test_devices_that_share_as_many_cells_could_both_be_meant(folders):
    a, b = folders
    write_on(a, ["cpu", "cuda"])
    for device in ("cpu", "cuda"):
        write_on(b, [device] * 2)
    told = rows(a, b)
    assert all(row["difference"] is None and row["lost"] == [] for row in told)
    [reason] = {row["reason"] for row in told}
    assert reason.startswith("B has 2 trainings here that could be meant (")


def test_of_two_learners_the_device_with_most_cells_in_common_is_meant(tmp_path):
    write_on(tmp_path, MIXED, GOOD)
    write_on(tmp_path, MIXED, WORSE, "mann", config={"encoder": "conv4", "cells": 2})
    write_on(tmp_path, {0: "cuda"}, WORSE, "mann", config={"encoder": "conv4", "cells": 2})
    told = rows("maml", "mann", "--results", tmp_path)
    assert sides([row for row in told if row["difference"]]) == [
        (("cpu", [0, 1, 2]), ("cuda", [0, 1, 2]))
    ]
    assert [row["regression"] for row in told if row["difference"]] == [True]


def test_a_bank_meets_its_own_on_other_devices(folders):
    a, b = folders
    for bank in ("one", "two"):
        for root, devices in ((a, MIXED), (b, ["cuda"] * 3)):
            write_on(root / bank, devices, bank=bank)
            for cell in root.glob(f"{bank}/cells/*/*/*"):
                place = root / "cells" / "glyphs-5way" / "5way1shot" / f"{bank}-{cell.name}"
                place.parent.mkdir(parents=True, exist_ok=True)
                cell.rename(place)
    told = rows(a, b)
    assert [row["difference"] and row["difference"]["about"] for row in told] == ["learners"] * 2


def test_where_nothing_is_shared_versions_are_told(folders):
    a, b = folders
    write_on(a, ["cpu"], suite_version=1)
    write_on(b, ["cpu"], suite_version=2)
    text = str(bench(a, b).exception)
    assert "A holds glyphs-5way v1/5way1shot/standard\n" in text
    assert "B holds glyphs-5way v2/5way1shot/standard" in text
