from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.episodes.words import (
    Purpose,
    random_words,
    seeded_order,
    smallest,
    taken,
    torch_seed,
    uniform,
)


def test_order_is_pinned() -> None:
    assert seeded_order("seed", ["a", "b", "c", "d", "e"]) == ["a", "e", "d", "c", "b"]


def test_order_does_not_depend_on_the_order_given() -> None:
    names = [str(n) for n in range(100)]
    assert seeded_order("s", names) == seeded_order("s", reversed(names))
    assert seeded_order("s", names) != seeded_order("t", names)


def test_numbers_are_pinned() -> None:
    numbers = uniform(7, (2, 2))
    assert numbers.tolist() == [
        [0.8720734548204873, 0.29536538151378355],
        [0.4200976785072422, 0.4053922457839946],
    ]


def test_numbers_are_uniform() -> None:
    numbers = uniform(1, (100_000,))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # Standard error of the mean: sqrt(1/12/100000) = 0.0009.
    assert abs(numbers.mean() - 0.5) < 0.004
    assert np.histogram(numbers, bins=10, range=(0, 1))[0].min() > 9_500


def test_what_is_taken_is_what_numpy_takes() -> None:
    keys = uniform(3, (2, 3, 7))
    positions = np.argsort(keys, axis=-1)[..., :4]
    assert np.array_equal(taken(keys, positions), np.take_along_axis(keys, positions, -1))
    assert np.array_equal(taken(keys[0], positions[0]), taken(keys, positions)[0])
    assert taken(keys[..., :0], positions[..., :0]).shape == (2, 3, 0)


def test_random_words_are_pinned() -> None:
    assert random_words(3, Purpose.TRAIN, 5, 4).tolist() == [
        0x16CF4CC9A147ECBB, 0x54F6DD4D6F07666F, 0x2A4B22AFDAB4539E, 0x5F31EEC4FF3EF953,
    ]  # fmt: skip
    assert random_words(0, Purpose.TEST, 0, 2).tolist() == [0xDE1F39DAE971F7ED, 0xEDE622DC829DEC50]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**56 - 1), st.integers(1, 9))
def test_words_are_those_of_a_new_generator(seed: int, number: int, count: int) -> None:
    key = np.array([seed, (int(Purpose.TEST) << 56) | number], dtype=np.uint64)
    expected = np.random.Philox(key=key).random_raw(count)
    assert np.array_equal(random_words(seed, Purpose.TEST, number, count), expected)


def test_threads_do_not_disturb_each_other() -> None:
    def words(number: int) -> list[int]:
        return random_words(1, Purpose.TRAIN, number, 3).tolist()

    expected = [words(number) for number in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(words, range(200))) == expected


def test_torch_seeds_differ_and_fit_torch() -> None:
    seeds = {torch_seed(seed, update) for seed in range(5) for update in range(200)}
    assert len(seeds) == 1000
    torch.manual_seed(max(seeds))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30, unique=True), st.data())
def test_smallest_is_a_partial_sort(keys: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(keys)))
    found = smallest(np.array([keys], dtype=np.uint64), count)[0]
    assert [keys[position] for position in found] == sorted(keys)[:count]
