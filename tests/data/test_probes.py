"""Memory probes: laid out as in Graves et al. 2014, drawn alike for ever."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from bench.api import Sequences, TaskSpec
from bench.api.dataset import DataFolders
from bench.data.probes import AssociativeRecall, Copy, Probe
from bench.episodes.banks import Bank, draw_sizes, training_batch, typical
from bench.episodes.words import Purpose
from bench.planning.data import load_suite_data
from bench.planning.plan import choose_suites
from bench.planning.plan import test_task as task_of_setting

PROBES = (Copy(), AssociativeRecall())
ALMOST_NEVER = 1e-6
SET = np.uint64(1 << 63)


def task_of(probe: Probe, items: int | tuple[int, int], batch: int = 4) -> TaskSpec:
    return TaskSpec(
        probe.input_shape, ways=1, protocol="sequence", items=items, outputs=probe.outputs,
        episodes_per_update=batch,
    )  # fmt: skip


def bits_to_words(bits: str) -> np.ndarray:
    """Words whose highest bit is the one given, the others set at random."""
    noise = np.random.default_rng(0).integers(0, 2**63, len(bits), dtype=np.uint64)
    return noise | np.array([SET if bit == "1" else 0 for bit in bits], dtype=np.uint64)


def rows(tensor: torch.Tensor) -> list[str]:
    """Each step as a string of digits."""
    return ["".join(str(int(value)) for value in step) for step in tensor]


def test_copy_by_hand():
    words = bits_to_words("1011000101000111")[None]
    probe = Copy().sequences(2, words)
    assert rows(probe.x[0]) == [
        "00000000" "10",  # start
        "10110001" "00",
        "01000111" "00",
        "00000000" "01",  # end
        "00000000" "00",  # nothing comes in while it answers
        "00000000" "00",
    ]  # fmt: skip
    assert rows(probe.target[0]) == ["00000000"] * 4 + ["10110001", "01000111"]
    assert probe.mask[0].tolist() == [0, 0, 0, 0, 1, 1]


def test_associative_recall_by_hand():
    items = ["100001010010001100", "111000000111101010", "011011110110100100"]
    words = np.concatenate([[np.uint64(1)], bits_to_words("".join(items))])[None]
    probe = AssociativeRecall().sequences(3, words)  # the query is item 1 of 0, 1, 2
    shown = [
        ["000000" "10"] + [item[i : i + 6] + "00" for i in (0, 6, 12)] for item in items
    ]  # fmt: skip
    assert rows(probe.x[0]) == [
        *shown[0], *shown[1], *shown[2],
        "000000" "01", *shown[1][1:], "000000" "01",
        *["00000000"] * 3,
    ]  # fmt: skip
    assert rows(probe.target[0]) == ["000000"] * 17 + ["011011", "110110", "100100"]
    assert probe.mask[0].tolist() == [0] * 17 + [1] * 3


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
@pytest.mark.parametrize("items", [2, 5, 20])
def test_sizes_are_as_stated(probe, items):
    task = task_of(probe, items)
    batch = training_batch(probe, task, 0, 0)
    assert isinstance(batch, Sequences)
    steps = probe.steps(items)
    assert steps == (2 * items + 2 if probe.name == "copy" else 4 * items + 8)
    assert probe.inputs(task) == steps
    assert batch.x.shape == (4, steps, *probe.input_shape)
    assert batch.target.shape == (4, steps, probe.outputs)
    assert batch.mask.shape == (4, steps)
    assert {tensor.dtype for tensor in vars(batch).values()} == {torch.float32}


PINNED = {
    "copy": "faff13f6f638169bfc023b60b7d0eb84bdfef946a77e75b2d819b37a0765ed02",
    "associative-recall": "79a79a7c2bba56cde44432997a806d778bd06626a3d87e0618fe42820574f119",
}


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_what_is_generated_is_pinned(probe, tmp_path):
    # When this fails, stored results are about other sequences. Change it only knowing that.
    assert probe.content == PINNED[probe.name]
    assert probe.content in probe.verify(DataFolders(None, tmp_path), print)


REAL_BANKS = {
    ("copy", "length10"): "c30589e9e3e2cc29",
    ("copy", "length120"): "55bf16c00c50bf47",
    ("associative-recall", "items2"): "76ce679cecdbb8f9",
    ("associative-recall", "items6"): "18edeeb65ae2b91a",
}
"""The first 16 hex digits of their digests."""


@pytest.mark.parametrize(("name", "setting"), REAL_BANKS)
def test_the_banks_of_the_suites_are_pinned(name, setting, tmp_path):
    [suite] = choose_suites([name])
    pools = load_suite_data(suite, DataFolders(None, tmp_path), print)
    task = task_of_setting(suite, suite.settings[setting], pools)
    bank = Bank.drawn(pools.test, task, suite.test.episodes, suite.test.seed, Purpose.TEST)
    assert bank.draw.digest()[:16] == REAL_BANKS[name, setting]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_batch_depends_on_seed_purpose_and_number_alone(probe):
    task = task_of(probe, 3)
    keys = [(seed, purpose, number) for seed in (0, 1) for purpose in Purpose for number in (0, 1)]
    digests = [probe.draw(task, 3, *key).digest() for key in keys]
    assert len(set(digests)) == len(keys)
    np.random.seed(1)  # global state must not matter
    assert [probe.draw(task, 3, *key).digest() for key in reversed(keys)] == digests[::-1]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_banks_are_nested_and_come_in_batches(probe):
    long = Bank.drawn(probe, task_of(probe, 3), 50, 3, Purpose.TEST)
    short = Bank.drawn(probe, task_of(probe, 3), 20, 3, Purpose.TEST)
    assert long.first(20).draw.digest() == short.draw.digest()
    whole, parts = next(short.batches(20)), list(long.to("cpu").batches(7))
    assert [len(part.x) for part in parts] == [7] * 7 + [1]
    for name in ("x", "target", "mask"):
        together = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(together[:20], getattr(whole, name))


def test_one_length_a_batch_and_all_of_the_range():
    task = task_of(Copy(), (1, 20))
    batches = {update: training_batch(Copy(), task, 1, update) for update in (7, 3, 5)}
    for update, batch in batches.items():
        items = draw_sizes(task, 1, update).items
        assert batch.x.shape[1] == 2 * items + 2
        assert torch.equal(batch.x, training_batch(Copy(), task, 1, update).x)
    drawn = np.array([draw_sizes(task, 0, update).items for update in range(4000)])
    assert chisquare(np.bincount(drawn, minlength=21)[1:]).pvalue > ALMOST_NEVER
    assert drawn.min() == 1
    assert typical(task).items == 10
    assert typical(task_of(Copy(), 7)) == task_of(Copy(), 7)


def test_bits_and_queries_are_drawn_evenly():
    probe, items = AssociativeRecall(), 5
    batch = training_batch(probe, task_of(probe, items, batch=4000), 0, 0)
    assert set(batch.x.unique().tolist()) == {0, 1}
    shown = batch.x[:, : 4 * items].unflatten(1, (items, 4))[:, :, 1:, :6]  # (B, N, 3, 6)
    ones = shown.sum((0, 1, 2))  # (6,) of 60,000 each
    assert ((ones - 30_000).abs() < 5 * (60_000 / 4) ** 0.5).all()
    query = batch.x[:, 4 * items + 1 : 4 * items + 4, :6]  # (B, 3, 6)
    which = (shown == query[:, None]).flatten(2).all(-1)[:, :-1]  # (B, 4)
    assert which.any(1).all(), "the query is one of the items but the last"
    assert chisquare(which.sum(0).numpy()).pvalue > ALMOST_NEVER


def test_a_probe_moves_like_a_pool():
    moved = Copy().to("meta")
    assert moved.device.type == "meta"
    assert training_batch(moved, task_of(moved, 2), 0, 0).x.device.type == "meta"
    assert Copy().device.type == "cpu"
