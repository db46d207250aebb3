"""The networks of an inner loop, against `bench.nn`'s."""

from __future__ import annotations

import pytest
import torch

from bench.api import Episodes, TaskSpec
from bench.nn import Conv4
from bench_plugins.optimization_based.anil import ANIL
from bench_plugins.optimization_based.fomaml import FOMAML
from bench_plugins.optimization_based.maml import MAML
from bench_plugins.optimization_based.meta_sgd import MetaSGD
from bench_plugins.optimization_based.proto_maml import ProtoMAML
from bench_plugins.optimization_based.reptile import Reptile
from bench_plugins.optimization_based.task_network import TaskNetwork, VectorNetwork


def weights_of(encoders):
    """The weights of one `Conv4` per task, laid out as `TaskNetwork` has them."""
    convolutions = [[encoder.blocks[4 * block] for encoder in encoders] for block in range(4)]
    norms = [[encoder.blocks[4 * block + 1] for encoder in encoders] for block in range(4)]
    weights = {}
    for block in range(4):
        kernels = torch.stack([layer.weight for layer in convolutions[block]])  # (B, F, C, 3, 3)
        weights[f"weight{block}"] = kernels.movedim(2, 4).flatten(2).transpose(1, 2)
        weights[f"scale{block}"] = torch.stack([norm.weight for norm in norms[block]])
        weights[f"shift{block}"] = torch.stack([norm.bias for norm in norms[block]])
    return weights


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 20, 17)])
def test_conv4_is_the_encoder_of_every_other_family(shape):
    """With the statistics of the batch, which `Conv4` takes in ``train()``; but for the biases of
    the convolutions, which these statistics remove."""
    torch.manual_seed(0)
    encoders = [Conv4(shape, filters=6).double().train() for _ in range(2)]
    for encoder in encoders:
        for block in range(4):  # gains of both signs
            encoder.blocks[4 * block + 1].weight.normal_()
            encoder.blocks[4 * block + 1].bias.normal_()
    network = TaskNetwork("conv4", shape, filters=6, outputs=5)
    x = torch.rand(2, 3, *shape).double()
    features, _ = network.features(network.inputs(x), weights_of(encoders))
    assert features.shape == (2, 3, encoders[0].out_features) == (2, 3, network.out_features)
    for task, encoder in enumerate(encoders):
        expected = encoder.maps(x[task]).movedim(1, 3).flatten(1)  # the channels last
        torch.testing.assert_close(features[task], expected)


def test_the_head_fits_the_features():
    for encoder, size in (("conv4", 64 * 2 * 2), ("conv4-strided", 64), ("pixels", 64)):
        network = TaskNetwork(encoder, (3, 32, 32), filters=64, outputs=5)
        assert network.initial()["head"].shape == (size, 5), encoder


def test_images_of_which_no_pixel_is_left_are_refused():
    message = "conv4 halves an image 4 times; 28x12 is too small, 16x16 is the least"
    with pytest.raises(ValueError, match=message):
        TaskNetwork("conv4", (1, 28, 12), filters=6, outputs=5)
    TaskNetwork("conv4-strided", (1, 28, 12), filters=6, outputs=5)


def test_the_widest_map_is_the_first():
    assert TaskNetwork("conv4", (1, 28, 28), 64, 5).widest == 64 * 28 * 28
    assert TaskNetwork("conv4-strided", (1, 27, 27), 64, 5).widest == 64 * 14 * 14


@pytest.mark.parametrize("cls", [MAML, FOMAML, ANIL, MetaSGD, ProtoMAML, Reptile])
@pytest.mark.parametrize("encoder", ["conv4", "conv4-strided", "mlp", "pixels"])
def test_vectors_have_a_network_whatever_is_asked_for_images(cls, encoder):
    """The presets of papers name the network that these have for characters."""
    torch.manual_seed(0)
    asked = TaskSpec((7,), 3, shots=2, queries=2, classes=9)
    task = cls.training_task(cls.Config(), asked)
    learner = cls(cls.Config(encoder=encoder, filters=6), task).train()
    assert isinstance(learner.network, VectorNetwork) == (encoder != "pixels")
    x, y = torch.randn(2, 6, 7), torch.tensor([[0, 1, 2, 2, 1, 0]]).expand(2, 6)
    learner.loss(Episodes(3, x, y, x, y)).backward()
    assert learner.predict(learner.adapt(x, y, 3), x).shape == (2, 6, 3)


def test_images_can_have_the_network_of_vectors():
    network = VectorNetwork((1, 4, 5), width=6, outputs=3)
    theta = {name: p[None] for name, p in network.initial().items()}
    features, _ = network.features(network.inputs(torch.rand(1, 2, 1, 4, 5)), theta)
    assert network.head(features, theta).shape == (1, 2, 3)
