"""From features to logits: similarities, class means, kernels.

Letters in shapes: ``B`` episodes, ``S`` support items, ``Q`` queries, ``D`` features, ``N`` ways.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cosine_similarity(a: Tensor, b: Tensor, eps: float = 1e-8) -> Tensor:
    """All pairwise cosines, in float32. A zero row has cosine 0 with everything, and finite
    gradients.

    ``eps`` is added under the root: ``x / max(|x|, eps)`` has no gradient problem either, but is
    not smooth at the switch.

    Args:
        a: (..., M, D).
        b: (..., N, D).

    Returns:
        (..., M, N), each in [-1, 1].
    """

    def unit(x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + eps**2)

    with torch.autocast(a.device.type, enabled=False):
        return unit(a.float()) @ unit(b.float()).transpose(-2, -1)


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """All pairwise squared Euclidean distances, in float32 and never negative.

    Args:
        a: (..., M, D).
        b: (..., N, D).

    Returns:
        (..., M, N).
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = a.float(), b.float()
        square = a.square().sum(-1)[..., :, None] + b.square().sum(-1)[..., None, :]
        return (square - 2 * a @ b.transpose(-2, -1)).clamp_min(0)  # (..., M, N)


def class_means(features: Tensor, labels: Tensor, ways: int) -> tuple[Tensor, Tensor]:
    """Mean feature of each class of an episode, and how many examples it has; in float32, and in
    float64 where the features are.

    Args:
        features: (B, S, D).
        labels: (B, S) in [0, ways).
        ways: classes.

    Returns:
        Means (B, N, D), zero for a class without examples; counts (B, N).
    """
    with torch.autocast(features.device.type, enabled=False):
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        member = F.one_hot(labels, ways).to(features.dtype)  # (B, S, N)
        counts = member.sum(1)  # (B, N)
        sums = member.transpose(1, 2) @ features  # (B, N, D)
        return sums / counts.clamp_min(1)[..., None], counts


def sum_before(x: Tensor) -> Tensor:
    """Sum over the steps before t: (B, T, ...) to (B, T, ...), zero at step 0."""
    return torch.cat([torch.zeros_like(x[:, :1]), x.cumsum(1)[:, :-1]], dim=1)


def kernel_logits(
    similarity: Tensor,
    labels: Tensor,
    ways: int,
    *,
    hard: bool = False,
    causal: bool = False,
) -> tuple[Tensor, Tensor]:
    """The kernel form of the field, ``P(y|x, S) = sum_i a(x, x_i) y_i``, in log space.

    With ``a`` the softmax of the similarities over the support set, P is the softmax over the
    classes of the log of ``sum_i exp(similarity(x, x_i)) [y_i = c]``, which is returned: finite
    where ``a`` underflows, and not normalised yet, so that a class without support can compete by
    a logit of its own (see `NoveltyLogit`).

    Source: Vinyals et al. 2016, equation (1). ``hard`` is the limit of an ever sharper kernel, the
    nearest neighbour.

    Args:
        similarity: (B, Q, S), the logarithm of the kernel.
        labels: (B, S) in [0, ways).
        ways: classes.
        hard: the maximum over a class's support in place of the log of the sum.
        causal: item t of the queries sees the support items before t only (Q = S).

    Returns:
        Logits (B, Q, N), zero where the class has no support that the query sees; and where it has
        some, (B, 1 or Q, N).
    """
    member = F.one_hot(labels, ways).bool()[:, None]  # (B, 1, S, N)
    if causal:
        steps = torch.arange(labels.shape[1], device=labels.device)
        member = member & (steps[:, None] > steps)[..., None]  # (B, Q, S, N)
    by_class = similarity.float()[..., None].masked_fill(~member, -torch.inf)  # (B, Q, S, N)
    logits = by_class.amax(2) if hard else by_class.logsumexp(2)  # (B, Q, N)
    seen = member.any(2)
    return logits.masked_fill(~seen, 0), seen


def kernel_regression(similarity: Tensor, y: Tensor, *, causal: bool = False) -> Tensor:
    """The mean of the support set's numbers, weighted by a kernel (Nadaraya 1964, Watson 1964):
    ``sum_i a(x, x_i) y_i``, with ``a`` the softmax of the similarities. In float32.

    Args:
        similarity: (B, Q, S), the logarithm of the kernel.
        y: (B, S, E), the numbers.
        causal: item t of the queries sees the support items before t only (Q = S).

    Returns:
        (B, Q, E), zero where nothing is seen.
    """
    with torch.autocast(similarity.device.type, enabled=False):
        similarity = similarity.float()
        if not causal:
            return similarity.softmax(-1) @ y
        steps = torch.arange(y.shape[1], device=y.device)
        later = steps[:, None] <= steps  # (Q, S)
        least = torch.finfo(similarity.dtype).min
        weights = similarity.masked_fill(later, least).softmax(-1).masked_fill(later, 0)
        return weights @ y


class NoveltyLogit(nn.Module):
    """One learned logit for the classes that were not seen yet.

    In the online view a support set may lack classes. Minus infinity there makes a learner choose a
    seen class for every new one; one scalar, learned online, says "this looks like nothing I know".

    Logits of distances are tens of units wide, and an optimizer made for weights moves a parameter
    by about its learning rate per update: the parameter is therefore stored divided by `unit`.

    Args:
        initial: the logit before training.
        unit: logit per unit of the parameter.
    """

    def __init__(self, initial: float = 0.0, unit: float = 100.0) -> None:
        super().__init__()
        self.unit = unit
        self.value = nn.Parameter(torch.tensor(initial / unit))

    def forward(self, logits: Tensor, seen: Tensor) -> Tensor:
        """Replaces the logits of unseen classes.

        Args:
            logits: (..., N).
            seen: broadcastable to (..., N), True where the class has support.
        """
        return torch.where(seen, logits, (self.unit * self.value).to(logits.dtype))
