"""The networks of an inner loop, against `bench.nn`'s."""

from __future__ import annotations

import pytest
import torch

from bench.nn import Conv4
from bench_plugins.optimization_based.task_network import TaskNetwork


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
