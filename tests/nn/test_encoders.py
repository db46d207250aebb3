"""Encoders."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.api import Episodes
from bench.nn import AugmentedConv4, Conv4, Pixels, Standardised, embed_together, encoder
from bench.nn.encoders import moved_and_mirrored


@pytest.mark.parametrize(
    ("shape", "features"), [((1, 28, 28), 64), ((1, 20, 20), 64), ((3, 32, 48), 64 * 2 * 3)]
)
def test_conv4_maps_any_leading_dimensions(shape, features):
    network = Conv4(shape).eval()
    assert network.out_features == features
    x = torch.rand(2, 3, *shape)
    together = network(x)
    assert together.shape == (2, 3, features)
    torch.testing.assert_close(together[1, 2], network(x[1, 2][None])[0])


def test_conv4_has_the_parameters_of_the_paper():
    # Four 3x3 convolutions with bias, each with a batch normalisation of two vectors.
    expected = (9 * 1 * 64 + 64) + 3 * (9 * 64 * 64 + 64) + 4 * 2 * 64
    assert sum(p.numel() for p in Conv4((1, 28, 28)).parameters()) == expected == 111_936


def test_conv4_in_eval_answers_an_image_alike_in_any_company():
    network = Conv4((1, 16, 16), filters=4)
    network(torch.rand(8, 1, 16, 16))  # some running statistics
    network.eval()
    image, others = torch.rand(1, 1, 16, 16), torch.rand(7, 1, 16, 16)
    torch.testing.assert_close(network(torch.cat([image, others]))[:1], network(image))


def test_conv4_refuses_an_image_that_vanishes():
    with pytest.raises(ValueError, match="15x28 is too small"):
        Conv4((1, 15, 28))


def test_conv4_that_halves_less_leaves_larger_maps():
    network = Conv4((1, 28, 20), filters=3, halvings=2).eval()
    x = torch.rand(2, 5, 1, 28, 20)
    maps = network.maps(x)
    assert maps.shape == (2, 5, 3, 7, 5)
    assert network.out_features == 3 * 7 * 5
    torch.testing.assert_close(network(x), maps.flatten(2))
    with pytest.raises(ValueError, match="2 times; 3x28 is too small"):
        Conv4((1, 3, 28), halvings=2)


def test_augmented_images_are_crops_and_mirrored_crops_and_each_has_its_own():
    """Every result is one of the 9 x 9 moves by up to an eighth of 32, as it is or mirrored."""
    torch.manual_seed(3)
    x = torch.rand(2, 40, 3, 32, 32) + 1  # zeros are of the border only
    found = moved_and_mirrored(x).flatten(0, 1)
    padded = nn.functional.pad(x.flatten(0, 1), (4, 4, 4, 4))
    crops = padded.unfold(2, 32, 1).unfold(3, 32, 1).permute(2, 3, 0, 1, 4, 5)  # (9, 9, M, ...)
    both = torch.stack([crops, crops.flip(-1)])  # (2, 9, 9, M, C, 32, 32)
    same = (both == found).all(-1).all(-1).all(-1)  # (2, 9, 9, M)
    assert (same.sum((0, 1, 2)) == 1).all()
    seen = same.sum(-1)
    assert seen.sum((1, 2)).min() > 20, "about half are mirrored"
    assert (seen.sum((0, 2)) > 0).all()
    assert (seen.sum((0, 1)) > 0).all()


def test_augmentation_is_of_training_only_and_is_seeded():
    network = encoder("conv4-augmented", (3, 32, 32), 8)
    assert isinstance(network, AugmentedConv4)
    plain = encoder("conv4", (3, 32, 32), 8)
    plain.load_state_dict(network.state_dict())
    x = torch.rand(2, 3, 3, 32, 32)
    torch.testing.assert_close(network.eval()(x), plain.eval()(x))
    torch.manual_seed(0)
    first = network.train()(x)
    torch.manual_seed(0)
    torch.testing.assert_close(network(x), first)
    torch.manual_seed(1)
    assert not torch.allclose(network(x), first)


def test_encoder_by_name():
    assert isinstance(encoder("conv4", (1, 28, 28)), Conv4)
    assert isinstance(encoder("pixels", (1, 28, 28)), Pixels)
    assert isinstance(encoder("conv4", (12,)), Pixels), "vectors have no convolution"
    assert encoder("pixels", (1, 20, 20)).out_features == 400
    assert encoder("conv4", (1, 16, 16), 8).out_features == 8


def test_pixels_flattens_the_input_only():
    x = torch.arange(24.0).view(2, 3, 1, 2, 2)
    assert Pixels((1, 2, 2))(x).tolist() == x.view(2, 3, 4).tolist()


def test_standardised_features_have_mean_zero_and_variance_one():
    torch.manual_seed(0)
    block = Standardised(Conv4((1, 28, 28), 4))
    z = block(torch.rand(3, 20, 1, 28, 28)).flatten(0, 1)  # (60, D)
    assert block.out_features == z.shape[1] == 4
    torch.testing.assert_close(z.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.var(0, correction=0), torch.ones(4), atol=1e-2, rtol=0)


def test_standardised_takes_apart_what_a_relu_points_the_same_way():
    torch.manual_seed(0)
    x = torch.rand(40, 1, 28, 28)
    inner = Conv4((1, 28, 28))

    def cosine(z):
        z = nn.functional.normalize(z.detach(), dim=-1)
        return float((z @ z.T)[~torch.eye(len(z), dtype=torch.bool)].mean())

    assert cosine(inner(x)) > 0.5
    assert abs(cosine(Standardised(inner)(x))) < 0.1


def test_standardised_in_eval_answers_an_image_alike_in_any_company():
    torch.manual_seed(0)
    block = Standardised(Conv4((1, 28, 28), 4))
    x = torch.rand(2, 5, 1, 28, 28)
    block(x)
    block.eval()
    torch.testing.assert_close(block(x)[:1, 2:3], block(x[:1, 2:3]))
    with torch.autocast("cpu", torch.bfloat16):
        assert block(x).dtype == torch.float32


def test_support_and_query_are_embedded_in_one_call():
    calls = []

    def embed(x):
        calls.append(x.shape)
        return x.flatten(2)

    x = torch.arange(2 * 5 * 4.0).view(2, 5, 1, 2, 2)
    y = torch.zeros(2, 5, dtype=torch.int64)
    support, query = embed_together(embed, Episodes(1, x[:, :2], y[:, :2], x[:, 2:], y[:, 2:]))
    assert calls == [(2, 5, 1, 2, 2)]
    assert support.equal(x[:, :2].flatten(2))
    assert query.equal(x[:, 2:].flatten(2))
