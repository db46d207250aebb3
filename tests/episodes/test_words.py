import numpy as np

from bench.episodes.words import seeded_order, uniform


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
