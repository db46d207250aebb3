"""Episodes: sound, seeded, the same for ever, of the images that were drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import chisquare

from bench.api import Episodes, Stream, TaskSpec
from bench.api.dataset import DataFolders, ImageClasses
from bench.data.folders import data_folders
from bench.episodes.banks import Bank, draw_sizes, training_batch
from bench.episodes.classes import (
    ClassPool,
    Draw,
    class_pool,
    draw_episodes,
    names_of_all,
    scaled,
)
from bench.episodes.words import Purpose, random_words
from bench.errors import BenchError
from bench.planning.data import load_suite_data
from bench.planning.plan import choose_suites, test_task
from bench.protocols.kshot import EpisodePool
from bench.protocols.online import StreamPool, presentation

test_task.__test__ = False  # a function of the harness, not a test

SHAPE = (1, 2, 2)
RAGGED = (6, 9, 7, 6, 12, 8, 6)
KSHOT = TaskSpec(SHAPE, ways=3, shots=2, queries=2)
ONLINE = TaskSpec(SHAPE, ways=3, protocol="online", length=12)
ALMOST_NEVER = 1e-3


def pool_of(counts: tuple[int, ...], task: TaskSpec = KSHOT) -> ClassPool:
    """Classes of that many images; every pixel of image m is m."""
    sizes = np.array(counts)
    images = torch.arange(sizes.sum()).to(torch.uint8)[:, None, None, None].expand(-1, *SHAPE)
    kind = StreamPool if task.length else EpisodePool
    return kind(images, np.cumsum(sizes) - sizes, sizes)


def pixels(pool: ClassPool, count: int) -> torch.Tensor:
    """The first images of a pool, as bytes again."""
    [images] = pool.gather(np.arange(count))
    return (images * 255).round().to(torch.uint8)


def class_of(pool: ClassPool, image: np.ndarray) -> np.ndarray:
    """The pool class of each image number."""
    return np.searchsorted(pool.starts, image, side="right") - 1


# -- what an episode is ---------------------------------------------------------------------------


@st.composite
def pools_and_tasks(draw: st.DrawFn) -> tuple[ClassPool, TaskSpec]:
    ways = draw(st.integers(1, 6))
    if draw(st.booleans()):
        shots, queries = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        task, images = TaskSpec(SHAPE, ways, shots, queries), shots + queries
    else:
        images = draw(st.integers(1, 6))
        task = TaskSpec(SHAPE, ways, protocol="online", length=ways * images)
    counts = draw(st.lists(st.integers(images, images + 5), min_size=ways, max_size=ways + 6))
    return pool_of(tuple(counts), task), task


@settings(deadline=None)
@given(pools_and_tasks(), st.integers(0, 2**63), st.integers(1, 5))
def test_every_episode_is_sound(pool_and_task, seed, episodes):
    pool, task = pool_and_task
    draw = draw_episodes(pool, task, episodes, seed, Purpose.TRAIN)
    shots = task.presentations if task.protocol == "online" else task.shots
    queries = 0 if task.protocol == "online" else task.queries
    assert draw.support.shape == draw.support_y.shape == (episodes, task.ways * shots)
    assert draw.query.shape == draw.query_y.shape == (episodes, task.ways * queries)
    assert draw.classes.shape == (episodes, task.ways)
    for b in range(episodes):
        assert len(set(draw.classes[b])) == task.ways
        both = np.concatenate([draw.support[b], draw.query[b]])
        assert len(set(both)) == len(both)  # no image twice, so support and query are disjoint
        for images, labels, each in (
            (draw.support[b], draw.support_y[b], shots),
            (draw.query[b], draw.query_y[b], queries),
        ):
            assert_array_equal(draw.classes[b][labels], class_of(pool, images))
            assert_array_equal(np.bincount(labels, minlength=task.ways), each)


def naive_draw(pool: ClassPool, task: TaskSpec, episodes: int, words: np.ndarray) -> Draw:
    """What `draw_episodes` says it does, one episode and one class at a time."""
    online = task.protocol == "online"
    shots, queries = (task.presentations, 0) if online else (task.shots, task.queries)
    most = max(pool.counts)
    rows: list[tuple[list[int], ...]] = []
    for row in words.reshape(episodes, -1).tolist():
        stream = iter(row)
        class_keys = [next(stream) for _ in range(len(pool))]
        image_keys = [[next(stream) for _ in range(most)] for _ in range(task.ways)]
        support_keys = [next(stream) for _ in range(task.ways * shots)]
        query_keys = [next(stream) for _ in range(task.ways * queries)]

        classes = sorted(range(len(pool)), key=class_keys.__getitem__)[: task.ways]
        support, query = [], []
        for label, chosen in enumerate(classes):
            there = range(pool.counts[chosen])
            order = sorted(there, key=image_keys[label].__getitem__)[: shots + queries]
            images = [(pool.starts[chosen] + image, label) for image in order]
            support += images[:shots]
            query += images[shots:]
        support = [support[i] for i in np.argsort(np.array(support_keys, dtype=np.uint64))]
        query = [query[i] for i in np.argsort(np.array(query_keys, dtype=np.uint64))]
        columns = [[item[part] for item in items] for items in (support, query) for part in (0, 1)]
        rows.append((*columns, classes))
    return Draw(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


@pytest.mark.parametrize("task", [KSHOT, ONLINE, KSHOT.but(ways=7, shots=4)])
def test_vectorised_drawing_equals_a_loop(task):
    pool, episodes = pool_of(RAGGED, task), 40
    drawn = draw_episodes(pool, task, episodes, 5, Purpose.TEST, 9)
    items = task.length if task.protocol == "online" else task.ways * (task.shots + task.queries)
    each = len(pool) + task.ways * max(RAGGED) + items
    looped = naive_draw(pool, task, episodes, random_words(5, Purpose.TEST, 9, episodes * each))
    assert drawn.digest() == looped.digest()


def test_too_few_classes_or_images_are_refused():
    with pytest.raises(BenchError, match="needs 8 classes, and only 7 are there"):
        draw_episodes(pool_of(RAGGED), KSHOT.but(ways=8), 1, 0, Purpose.TRAIN)
    with pytest.raises(BenchError, match=r"needs 7 images .* a class has only 6"):
        draw_episodes(pool_of(RAGGED), KSHOT.but(shots=5), 1, 0, Purpose.TRAIN)


# -- nothing gives the answer away ----------------------------------------------------------------


def uniform_p(values: np.ndarray, number: int) -> float:
    return float(chisquare(np.bincount(values.ravel(), minlength=number)).pvalue)


@pytest.fixture(scope="module")
def many() -> Draw:
    return draw_episodes(pool_of(RAGGED), KSHOT.but(ways=5), 8000, 2, Purpose.TRAIN)


def test_every_position_has_every_label(many):
    for labels in (many.support_y, many.query_y):
        for position in range(labels.shape[1]):
            assert uniform_p(labels[:, position], 5) > ALMOST_NEVER


def test_classes_are_uniform_behind_every_label(many):
    for label in range(5):
        assert uniform_p(many.classes[:, label], len(RAGGED)) > ALMOST_NEVER


def test_images_of_a_class_are_uniform_in_support_and_query(many):
    pool = pool_of(RAGGED)
    for images in (many.support, many.query):
        for number, (start, count) in enumerate(zip(pool.starts, pool.counts, strict=True)):
            instance = images[class_of(pool, images) == number] - start
            assert uniform_p(instance, count) > ALMOST_NEVER


def test_labels_do_not_follow_the_order_of_classes(many):
    # sorted classes would give label 0 the smallest class number in every episode
    first_is_smallest = many.classes[:, 0] == many.classes.min(1)
    assert chisquare(np.bincount(first_is_smallest), [6400, 1600]).pvalue > ALMOST_NEVER


# -- seeded, and the same for ever ----------------------------------------------------------------


def test_a_small_draw_is_pinned():
    draw = draw_episodes(pool_of(RAGGED), KSHOT, 4, 11, Purpose.TRAIN, 5)
    assert draw.support[0].tolist() == [5, 2, 39, 29, 43, 47]
    assert draw.support_y[0].tolist() == [2, 2, 1, 1, 0, 0]
    assert draw.query[0].tolist() == [0, 28, 44, 35, 41, 1]
    assert draw.query_y[0].tolist() == [2, 1, 0, 1, 0, 2]
    assert draw.classes[0].tolist() == [5, 4, 0]
    assert draw.digest() == "4905b6efe08fcd423a271b8b9968a119e819ef6c1e5ffd6d5f88d6bc0f5d06a8"
    online = draw_episodes(pool_of(RAGGED, ONLINE), ONLINE, 4, 11, Purpose.TEST)
    assert online.digest() == "4bb4764a5fb2a7ef53211092ba92a8d6f7e0b7fcf5e82fa873759d46f4216456"


def test_a_digest_tells_which_episodes():
    draw = draw_episodes(pool_of(RAGGED), KSHOT, 4, 11, Purpose.TRAIN)
    assert draw.digest() == draw.part(0, 4).digest()
    assert len({draw.digest(), draw.part(0, 3).digest(), draw.part(1, 4).digest()}) == 3


REAL_BANKS = {
    ("omniglot-5way", "5way1shot"): "a01c0844ced9353d",
    ("omniglot-5way", "5way5shot"): "9f68c14ee5d601e6",
    ("omniglot-20way", "20way1shot"): "8ed17e06d3978246",
    ("omniglot-20way", "20way5shot"): "dcaa11491befab6e",
    ("omniglot-online", "5way10times"): "634e7e77aa3bb0b6",
}
"""The first 16 hex digits of their digests."""


@pytest.mark.parametrize("name", ["omniglot-5way", "omniglot-20way", "omniglot-online"])
def test_the_banks_of_the_real_suites_are_pinned(name, omniglot_folder: Path):
    [suite] = choose_suites([name])
    folders = DataFolders(omniglot_folder, data_folders(None).cache)
    pools = load_suite_data(suite, folders, print)
    for setting, asked in suite.settings.items():
        task = test_task(suite, asked, pools)
        bank = Bank.drawn(pools.test, task, suite.test.episodes, suite.test.seed, Purpose.TEST)
        assert bank.draw.digest()[:16] == REAL_BANKS[name, setting]


def test_a_batch_depends_on_seed_purpose_and_number_alone():
    pool = pool_of(RAGGED)
    keys = [(seed, purpose, number) for seed in (0, 1) for purpose in Purpose for number in (0, 1)]
    digests = [draw_episodes(pool, KSHOT, 3, *key).digest() for key in keys]
    assert len(set(digests)) == len(keys)
    torch.manual_seed(1)
    np.random.seed(1)  # global state must not matter
    assert [draw_episodes(pool, KSHOT, 3, *key).digest() for key in reversed(keys)] == digests[::-1]


@pytest.mark.parametrize("task", [KSHOT, ONLINE])
def test_banks_are_nested(task):
    pool = pool_of(RAGGED, task)
    long = Bank.drawn(pool, task, 50, 3, Purpose.TEST)
    short = Bank.drawn(pool, task, 20, 3, Purpose.TEST)
    assert len(long.first(20)) == 20
    assert long.first(20).draw.digest() == short.draw.digest()


def test_training_batch_is_a_pure_function_of_seed_and_update():
    pool, task = pool_of(RAGGED), KSHOT.but(shots=(1, 3), episodes_per_update=4)
    again = {update: training_batch(pool, task, 1, update) for update in (7, 3, 5)}
    for update in (3, 5, 7):
        batch = training_batch(pool, task, 1, update)
        assert torch.equal(batch.support_x, again[update].support_x)
        assert torch.equal(batch.query_y, again[update].query_y)
        assert batch.classes is not None  # in meta-training they are told


def test_shots_cover_their_range_evenly():
    task = KSHOT.but(shots=(2, 5))
    drawn = np.array([draw_sizes(task, 0, update).shots for update in range(2000)])
    assert drawn.min() == 2
    assert drawn.max() == 5
    assert uniform_p(drawn - 2, 4) > ALMOST_NEVER
    assert draw_sizes(task, 0, 3) == draw_sizes(task, 0, 3)


# -- images ---------------------------------------------------------------------------------------


def ragged_data() -> ImageClasses:
    """3 classes of 2, 1 and 3 images of 1x3x3, all pixels different from all others."""
    return ImageClasses(
        "toy", torch.arange(54, dtype=torch.uint8).view(6, 1, 3, 3), np.array([0, 2, 3]),
        np.array([2, 1, 3]), ("a", "b", "c"), ("", "", ""), "",
    )  # fmt: skip


def test_a_pool_has_the_images_of_its_classes_in_their_order():
    data = ragged_data()
    pool = class_pool(data, np.array([2, 0]), rotations=False, kind=EpisodePool)
    assert torch.equal(pixels(pool, 5), data.images[[3, 4, 5, 0, 1]])
    assert pool.images.data_ptr() == data.images.data_ptr(), "nothing is copied"
    elsewhere = pool.to("meta")
    assert (len(elsewhere.images), elsewhere.rows) == (5, None), "but to another device, its own"
    assert pool.starts.tolist() == [0, 3]
    assert pool.counts.tolist() == [3, 2]


def test_rotations_are_classes_of_their_own():
    data, classes = ragged_data(), np.array([2, 0])
    pool = class_pool(data, classes, rotations=True, kind=EpisodePool)
    assert len(pool) == 8
    for turns in range(4):
        for p, number in enumerate(classes):
            rotated = p + turns * len(classes)
            start, count = pool.starts[rotated], pool.counts[rotated]
            first = data.starts[number]
            upright = data.images[first : first + data.counts[number]].numpy()
            assert_array_equal(
                pixels(pool, start + count)[start:].numpy(), np.rot90(upright, turns, axes=(2, 3))
            )


def test_a_gpu_turns_images_as_a_cpu_does():
    images = torch.arange(6 * 2 * 9, dtype=torch.uint8).view(6, 2, 3, 3)
    pool = EpisodePool(images, np.array([0]), np.array([24]), None, True)
    rows, turns = np.arange(24) % 6, np.arange(24) // 6
    assert torch.equal(pool._turned_at_once(rows, turns), pool._turned_in_place(rows, turns))
    assert torch.equal(pool._turned_at_once(rows, turns)[:6], images)


def test_gather_divides_by_255():
    images = torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(-1, *SHAPE)
    pool = EpisodePool(images, np.array([0]), np.array([256]))
    [got] = pool.gather(np.arange(256).reshape(2, 128))
    assert got.shape == (2, 128, *SHAPE)
    assert got.dtype == torch.float32
    expected = torch.arange(256).view(2, 128) / 255
    torch.testing.assert_close(got[..., 0, 0, 0], expected, rtol=0, atol=1e-7)
    assert got.min() == 0
    assert got.max() == 1


def test_pixels_are_the_same_numbers_on_every_device():
    images = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(scaled(images), images.float().mul_(1 / 255))  # the way of a GPU


def test_support_and_query_are_gathered_as_each_alone():
    pool = pool_of(RAGGED)
    support, query = np.array([[3, 1, 2], [0, 0, 5]]), np.array([[4], [7]])
    [alone], [other] = pool.gather(support), pool.gather(query)
    both = pool.gather(support, query)
    assert torch.equal(both[0], alone)
    assert torch.equal(both[1], other)


def test_a_batch_has_the_drawn_images_under_the_drawn_labels():
    pool = pool_of(RAGGED)
    draw = draw_episodes(pool, KSHOT, 3, 0, Purpose.TEST)
    batch = pool.build(KSHOT, draw)
    assert isinstance(batch, Episodes)
    assert_array_equal((255 * batch.support_x[..., 0, 0, 0]).round(), draw.support)
    assert_array_equal((255 * batch.query_x[..., 0, 0, 0]).round(), draw.query)
    assert_array_equal(batch.support_y, draw.support_y)
    assert_array_equal(batch.query_y, draw.query_y)
    assert batch.classes is None  # never told outside meta-training

    pool = pool_of(RAGGED, ONLINE)
    stream = pool.build(ONLINE, draw_episodes(pool, ONLINE, 3, 0, Purpose.TEST), classes=True)
    assert isinstance(stream, Stream)
    assert stream.x.shape == (3, 12, *SHAPE)
    assert stream.classes.shape == (3, 3)


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_a_bank_gives_all_its_episodes_in_order(size):
    bank = Bank.drawn(pool_of(RAGGED), KSHOT, 7, 3, Purpose.TEST)
    batches = list(bank.batches(size))
    assert [len(batch.query_y) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert_array_equal(torch.cat([batch.query_y for batch in batches]), bank.draw.query_y)


def test_presentation_by_hand():
    y = torch.tensor([[0, 1, 0, 0, 1, 2], [2, 2, 1, 0, 1, 0]])
    expected = [[0, 0, 1, 2, 1, 0], [0, 1, 0, 0, 1, 1]]
    assert presentation(y, 3).tolist() == expected


def test_turned_classes_have_names():
    assert names_of_all(["a", "b"], 2) == ["a", "b"]
    assert names_of_all(["a", "b"], 4) == ["a", "b", "a turned by 90°", "b turned by 90°"]
    assert names_of_all([], 4) == []
