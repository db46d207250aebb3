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
from bench.nn import cosine_similarity, kernel_logits


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
        return self._logits(cosine_similarity(images, images), y, ways, causal=True)

    def _logits(self, cosine: Tensor, labels: Tensor, ways: int, causal: bool = False) -> Tensor:
        """Best cosine of each class: (B, Q, S) to (B, Q, N)."""
        best, seen = kernel_logits(cosine, labels, ways, hard=True, causal=causal)
        return self.config.scale * torch.where(seen, best, self.config.novelty)
