"""What easyfsl and learn2learn offer, imported only here, and training steps as their examples do
them.

Both are optional. learn2learn as in plugins/learn2learn/requirements.txt, with `requests` and
`tqdm`, which its data module imports; easyfsl by ``pip install --no-deps easyfsl``.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
from collections.abc import Iterator
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from bench.api import TaskSpec
from bench.api.dataset import ImageClasses
from bench.data.torchvision_shim import torchvision_datasets
from benchmarks.part import SkippedError

Batch = tuple[Tensor, Tensor, Tensor, Tensor]
"""Support images (S, C, H, W) and labels (S,), query images and labels, of one episode."""


def learn2learn(module: str) -> ModuleType:
    """``learn2learn.data`` and the like, without ``learn2learn/__init__.py``, which imports gym and
    more that is not needed.

    Raises:
        SkippedError: it, or what it imports, is not installed.
    """
    if "learn2learn" not in sys.modules:
        spec = importlib.util.find_spec("learn2learn")
        if spec is None:
            raise SkippedError("learn2learn is not installed")
        sys.modules["learn2learn"] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(f"learn2learn.{module}")
    except ImportError as error:
        raise SkippedError(f"learn2learn.{module} cannot be imported: {error}") from error


def easyfsl(module: str) -> ModuleType:
    """``easyfsl.methods`` and the like.

    Raises:
        SkippedError: it, or what it imports, is not installed.
    """
    if importlib.util.find_spec("easyfsl") is None:
        raise SkippedError("easyfsl is not installed")
    try:
        torchvision_datasets()  # easyfsl imports it; on some machines it needs help
        return importlib.import_module(f"easyfsl.{module}")
    except ImportError as error:
        raise SkippedError(f"easyfsl.{module} cannot be imported: {error}") from error


# -- episodes -------------------------------------------------------------------------------------


def in_memory(data: ImageClasses) -> tuple[Tensor, Tensor]:
    """Images as float32 in [0, 1], decoded once, and the class of each: the fastest that a dataset
    of theirs can be."""
    labels = torch.arange(len(data.counts)).repeat_interleave(torch.from_numpy(data.counts))
    return data.images.float() / 255, labels


class LearnToLearnEpisodes:
    """A `Taskset` of new tasks: ``N`` ways of ``shots + queries`` items, split by their
    `partition_task`, as in their examples.

    Args:
        data: what they are drawn from.
        task: ways, shots and queries.
        decoding: each item is decoded and resized when it is taken, as
            `learn2learn.vision.benchmarks.omniglot_tasksets` has it, but from memory.

    Raises:
        SkippedError: learn2learn is not there.
    """

    def __init__(self, data: ImageClasses, task: TaskSpec, decoding: bool = False) -> None:
        l2l = learn2learn("data")
        transforms = learn2learn("data.transforms")
        self._partition, self._shots = l2l.partition_task, task.shot_range[1]
        images, labels = in_memory(data)
        items_of: Any = Drawings(labels.tolist()) if decoding else TensorDataset(images, labels)
        numbered = dict(enumerate(labels.tolist()))
        dataset = l2l.MetaDataset(items_of, indices_to_labels=numbered)
        items = task.shot_range[1] + task.queries
        self._tasks = l2l.Taskset(
            dataset,
            task_transforms=[
                transforms.FusedNWaysKShots(dataset, n=task.ways, k=items),
                transforms.LoadData(dataset),
                transforms.RemapLabels(dataset),
                transforms.ConsecutiveLabels(dataset),
            ],
            num_tasks=-1,
        )

    def sample(self) -> tuple[Tensor, Tensor]:
        """Images (I, C, H, W) and labels (I,), class by class."""
        images, labels = self._tasks.sample()
        return images, labels

    def split(self) -> Batch:
        """An episode, its items parted."""
        (support, support_y), (query, query_y) = self._partition(*self.sample(), shots=self._shots)
        return support, support_y, query, query_y


class EasyEpisodes:
    """A `DataLoader` with their `TaskSampler`, without workers of its own.

    Raises:
        SkippedError: easyfsl is not there.
    """

    def __init__(self, data: ImageClasses, task: TaskSpec) -> None:
        sampler = _task_sampler()(
            _Labelled(*in_memory(data)),
            n_way=task.ways,
            n_shot=task.shot_range[1],
            n_query=task.queries,
            n_tasks=1000,
        )
        loader: Any = DataLoader(
            _Labelled(*in_memory(data)),
            batch_sampler=sampler,
            num_workers=0,
            collate_fn=sampler.episodic_collate_fn,
        )
        self._episodes: Iterator[Any] = _again_and_again(loader)

    def split(self) -> Batch:
        """An episode."""
        support, support_y, query, query_y, _ = next(self._episodes)
        return support, support_y, query, query_y


def _task_sampler() -> Any:
    """Their TaskSampler, which gives torch's Sampler an argument that it takes no more."""

    class Accepting(Sampler[Any]):
        def __init__(self, data_source: Any = None) -> None:
            pass

    base: Any = easyfsl("samplers").TaskSampler
    return type("TaskSampler", (base, Accepting), {})


def _again_and_again(loader: Any) -> Iterator[Any]:
    for _ in cycle([None]):
        yield from loader


class Drawings(Dataset[tuple[Tensor, int]]):
    """Items as Omniglot's: black on white, 105x105, in PNG files, of which the content lies in
    memory; resized to 28x28."""

    def __init__(self, labels: list[int]) -> None:
        self.labels, self.files = labels, [_png(number) for number in range(20)]

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        with Image.open(io.BytesIO(self.files[number % len(self.files)])) as image:
            small = image.convert("L").resize((28, 28), Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.array(small)).float().div(255)
        return 1 - pixels[None], self.labels[number]

    def __len__(self) -> int:
        return len(self.labels)


def _png(seed: int) -> bytes:
    """A drawing of eight strokes."""
    image, file = Image.new("1", (105, 105), 1), io.BytesIO()
    ends = np.random.default_rng(seed).integers(10, 95, (9, 2))
    ImageDraw.Draw(image).line([tuple(end) for end in ends.tolist()], fill=0, width=3)
    image.save(file, "PNG")
    return file.getvalue()


class _Labelled(Dataset[tuple[Tensor, int]]):
    """What easyfsl calls a FewShotDataset: items, and the label of each."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels.tolist()

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.images[number], self.labels[number]

    def __len__(self) -> int:
        return len(self.labels)

    def get_labels(self) -> list[int]:
        """Of all items."""
        labels: list[int] = self.labels
        return labels


# -- losses, as their examples compute them -------------------------------------------------------


def prototypical_loss(encoder: nn.Module, batch: Batch, ways: int) -> Tensor:
    """`fast_adapt` of learn2learn's examples/vision/protonet_miniimagenet.py, without its accuracy:
    one episode, all images embedded together, squared distances by broadcasting."""
    support, support_y, query, query_y = batch
    embeddings = encoder(torch.cat([support, query]))
    by_class = torch.sort(support_y, stable=True).indices
    prototypes = (
        embeddings[: len(support)][by_class].reshape(ways, -1, embeddings.shape[-1]).mean(1)
    )
    queries = embeddings[len(support) :]
    distances = (queries.unsqueeze(1) - prototypes.unsqueeze(0)).pow(2).sum(2)
    return F.cross_entropy(-distances, query_y)


def easyfsl_loss(method: Any, batch: Batch, log_probabilities: bool) -> Tensor:
    """A training step of easyfsl's notebooks/episodic_training.ipynb: support and query images one
    after the other."""
    support, support_y, query, query_y = batch
    method.process_support_set(support, support_y)
    scores: Tensor = method(query)
    return F.nll_loss(scores, query_y) if log_probabilities else F.cross_entropy(scores, query_y)
