"""A learner that is fed step by step: which label is told when, in both forms and both views."""

from __future__ import annotations

import pytest
import torch

from bench.api import SequenceLearner, Sequences, TaskSpec
from tests.helpers.planted import Recurrent

SHAPE = (1, 2, 2)


class Recorder(SequenceLearner):
    """Its memory is all it was fed, in base 10, and its logits are what is told at a step.

    Of images whose pixels are a digit: ``seen * 10 + digit``. Of labels: ``told * 10 + label + 1``,
    and ``told * 10`` where there was none.
    """

    family, contract = "test", 1

    def initial_state(self, batch_size):
        return {"seen": torch.zeros(batch_size, 1), "told": torch.zeros(batch_size, 1)}

    def step(self, state, z, label):
        number = label @ torch.arange(1.0, label.shape[1] + 1)[:, None]
        seen = state["seen"] * 10 + z[:, :1]
        return label + 0.001 * seen, {"seen": seen, "told": state["told"] * 10 + number}


@pytest.fixture
def pairs():
    """Fed pairs of an image and its own label, as the k-shot view has it."""
    return Recorder(None, TaskSpec(SHAPE, 3))


@pytest.fixture
def offset():
    """Told each label with the next image, as the online view has it."""
    return Recorder(None, TaskSpec(SHAPE, 3, protocol="online", length=6))


@pytest.fixture
def digits():
    """One stream of images whose pixels are all 1, 2, 3, 4."""
    return torch.arange(1.0, 5.0).view(1, 4, 1, 1, 1).expand(1, 4, *SHAPE)


# -- which label when -----------------------------------------------------------------------------


def test_the_protocol_decides_the_form(pairs, offset):
    assert not pairs.offset_labels
    assert offset.offset_labels


def test_with_an_offset_a_step_is_told_the_label_before(offset, digits):
    y = torch.tensor([[2, 0, 1, 1]])
    logits = offset.unroll(digits, y, 3)
    seen = torch.tensor([1.0, 12.0, 123.0, 1234.0])
    label = torch.tensor([[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])  # none at step 0
    torch.testing.assert_close(logits[0], label + 0.001 * seen[:, None])


def test_with_an_offset_the_last_label_is_pending_until_the_query(offset, digits):
    state = offset.adapt(digits[:, :3], torch.tensor([[2, 0, 1]]), 3)
    assert state["memory"]["seen"].item() == 123
    assert state["memory"]["told"].item() == 31, "none, 2, 0"
    assert state["pending"].tolist() == [[0, 1, 0]]
    logits = offset.predict(state, digits[:, 3:])
    torch.testing.assert_close(logits[0, 0], torch.tensor([0.0, 1.0, 0.0]) + 1.234)


def test_in_pairs_an_image_comes_with_its_own_label_and_a_query_with_none(pairs, digits):
    state = pairs.adapt(digits[:, :3], torch.tensor([[2, 0, 1]]), 3)
    assert state["memory"]["seen"].item() == 123
    assert state["memory"]["told"].item() == 312, "2, 0, 1"
    assert state["pending"].tolist() == [[0, 0, 0]]
    logits = pairs.predict(state, digits[:, 3:])
    torch.testing.assert_close(logits[0, 0], torch.full((3,), 1.234))


def test_in_pairs_a_stream_is_asked_first_and_told_then(pairs, digits):
    logits = pairs.unroll(digits, torch.tensor([[2, 0, 1, 1]]), 3)
    seen = torch.tensor([1.0, 12.0, 123.0, 1234.0])  # what is asked leaves no trace
    torch.testing.assert_close(logits[0], 0.001 * seen[:, None].expand(4, 3))


# -- what holds in both forms ---------------------------------------------------------------------

PROTOCOLS = pytest.mark.parametrize("protocol", ["kshot", "online"])


def recorder(protocol):
    return Recorder(None, TaskSpec(SHAPE, 3, protocol=protocol, length=6))


def trained(protocol):
    """Of any weights, but far from the start, so that labels count."""
    torch.manual_seed(0)
    task = TaskSpec((1, 20, 20), 3, protocol=protocol, length=9)
    learner = Recurrent(Recurrent.Config(), task)
    with torch.no_grad():
        learner.cell.weight_ih[:, 400:].normal_()
    return learner


@pytest.fixture
def stream():
    random = torch.Generator().manual_seed(1)
    x = torch.rand(4, 7, 1, 20, 20, generator=random)
    return x, torch.randint(0, 3, (4, 7), generator=random)


@PROTOCOLS
@torch.no_grad()
def test_the_two_views_agree(protocol, stream):
    learner, (x, y) = trained(protocol), stream
    online = learner.unroll(x, y, 3)
    for t in range(1, 7):
        state = learner.adapt(x[:, :t], y[:, :t], 3)
        torch.testing.assert_close(online[:, t], learner.predict(state, x[:, t : t + 1])[:, 0])


@PROTOCOLS
@torch.no_grad()
def test_an_answer_knows_the_labels_before_it_and_no_other(protocol, stream):
    learner, (x, y) = trained(protocol), stream
    told = learner.unroll(x, y, 3)
    for t in range(7):
        changed = y.clone()
        changed[:, t] = (y[:, t] + 1) % 3
        differs = (learner.unroll(x, changed, 3) != told).any(-1)  # (B, T)
        assert not differs[:, : t + 1].any(), "its own label, or a later one, was known"
        assert differs[:, t + 1 :].all(), "a label before it was not told"


@PROTOCOLS
@torch.no_grad()
def test_every_label_of_the_support_set_counts(protocol, stream):
    learner, (x, y) = trained(protocol), stream
    told = learner.predict(learner.adapt(x[:, :5], y[:, :5], 3), x[:, 5:])
    for s in range(5):
        changed = y[:, :5].clone()
        changed[:, s] = (changed[:, s] + 1) % 3
        other = learner.predict(learner.adapt(x[:, :5], changed, 3), x[:, 5:])
        assert (other != told).any(-1).all()


@PROTOCOLS
def test_every_query_has_its_own_copy_of_the_memory(protocol, digits):
    learner = recorder(protocol)
    state = learner.adapt(digits[:, :2], torch.tensor([[0, 1]]), 3)
    both = learner.predict(state, digits[:, 2:])
    for query in (0, 1):
        alone = learner.predict(state, digits[:, 2 + query : 3 + query])
        assert both[:, query].tolist() == alone[:, 0].tolist()
    assert state["memory"]["seen"].item() == 12, "answering does not change the state"


def test_queries_keep_to_their_episode(offset, pairs, digits):
    x = torch.cat([digits, digits.flip(1)])
    expected = torch.tensor([[0.123, 0.124], [0.432, 0.431]])
    for learner, label in ((pairs, 0), (offset, 1)):
        state = learner.adapt(x[:, :2], torch.tensor([[0, 0], [2, 2]]), 3)
        logits = learner.predict(state, x[:, 2:])  # (2, 2, 3)
        own = logits[[0, 1], :, [0, 2]]  # of the label that is pending, if one is
        torch.testing.assert_close(own, expected + label)


@PROTOCOLS
def test_fewer_ways_slice_the_output_and_more_are_refused(protocol, digits):
    learner, y = recorder(protocol), torch.zeros(1, 4, dtype=torch.int64)
    assert learner.unroll(digits, y, 2).shape == (1, 4, 2)
    assert learner.predict(learner.adapt(digits, y, 2), digits).shape == (1, 4, 2)
    for refused in (learner.unroll, learner.adapt):
        with pytest.raises(ValueError, match="built for 3 ways and cannot answer 4"):
            refused(digits, y, 4)


# -- memory probes --------------------------------------------------------------------------------


def test_the_loss_of_a_probe_counts_the_steps_of_its_mask(digits):
    class Says(Recorder):
        """Each bit with the odds of 3 to 1."""

        def respond(self, x):
            return torch.full((1, 2, 2), 3.0).log()

    learner = Says(None, TaskSpec((4,), 1, protocol="sequence", items=1, outputs=2))
    target = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    probe = Sequences(torch.zeros(1, 2, 4), target, torch.tensor([[0.0, 1.0]]))
    # at the second step alone: one bit right with 3/4, one with 1/4
    expected = -(torch.tensor(0.75).log() + torch.tensor(0.25).log()) / 2
    torch.testing.assert_close(learner.loss(probe), expected)
