"""Pixel nearest neighbour: cosine between raw images. Nothing is trained.

The floor under every learner, and the proof of the data pipeline: its accuracy depends on images,
splits and episodes only.

References:
    Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra 2016, "Matching Networks for One Shot
    Learning", NeurIPS, arXiv:1606.04080: the rows "Pixels" of Table 1.

Letters in shapes: B episodes, S support items, Q queries, T time steps, N ways, P pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Learner, State, option
from bench.nn import cosine_similarity


class PixelNearestNeighbour(Learner):
    """Each query takes the class of the support image with the largest cosine."""

    family = "metric-based"
    contract = 1
    references = (
        'Vinyals et al. 2016, "Matching Networks for One Shot Learning", Table 1 ("Pixels"), '
        "arXiv:1606.04080",
    )
    presets = {"paper": {}}
    trained = False

    @dataclass(frozen=True)
    class Config:
        """Neither option changes a k-shot accuracy."""

        scale: float = option(10.0, "Logit per unit of cosine; decides the calibration only.")
        novelty: float = option(0.4, "Cosine that stands for a class not seen yet (online).")

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """Keeps the support set: images (B, S, P), labels (B, S)."""
        return {"images": support_x.flatten(2), "labels": support_y, "ways": ways}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N)."""
        cosine = cosine_similarity(query_x.flatten(2), state["images"])  # (B, Q, S)
        return self._logits(cosine, state["labels"], state["ways"])

    def unroll(self, x: Tensor, y: Tensor, ways: int) -> Tensor:
        """Logits (B, T, N): every step sees the earlier ones, by a causal mask."""
        images = x.flatten(2)  # (B, T, P)
        steps = torch.arange(x.shape[1], device=x.device)
        unseen = steps[None, :] >= steps[:, None]  # (T, T), True where j >= t
        cosine = cosine_similarity(images, images).masked_fill(unseen, -torch.inf)  # (B, T, T)
        return self._logits(cosine, y, ways)

    def _logits(self, cosine: Tensor, labels: Tensor, ways: int) -> Tensor:
        """Best cosine of each class; minus infinity marks what may not be looked at.

        Args:
            cosine: (B, Q, S).
            labels: (B, S).
            ways: classes.

        Returns:
            (B, Q, N).
        """
        index = labels[:, None].expand_as(cosine)  # (B, Q, S)
        best = cosine.new_full((*cosine.shape[:2], ways), -torch.inf)
        best = best.scatter_reduce(2, index, cosine, "amax")  # (B, Q, N)
        return self.config.scale * best.masked_fill(best.isneginf(), self.config.novelty)
