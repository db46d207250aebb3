"""MAML: an initialisation from which one gradient step on the support set is enough.

The inner loop of B tasks runs at once: every weight has a leading task dimension, and a convolution
is one gather of image patches and one batched matrix product. The derivative of a gather is a
scatter, and that of a scatter a gather, so the double backward is as plain as the forward. Second
layer, 32 tasks, one CPU core, with the double backward: 74 ms; grouped convolutions 88, vmap over
`conv2d` 85, `unfold` 124.

References:
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400. Equation numbers below are this paper's.
    Bronskill, Gordon, Requeima, Nowozin, Turner 2020, "TaskNorm: Rethinking Batch Normalization for
    Meta-Learning", ICML, arXiv:2003.03284: batch normalisation by support statistics (MetaBN).

Letters in shapes: B tasks, S support items, Q queries, T time steps, N ways, C channels, F filters,
H and W height and width of a feature map, P = H W its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api import Episodes, Learner, State, Stream, TaskSpec, option

Weights = dict[str, Tensor]
"""One set of weights per task: every tensor has a leading dimension B."""
Statistics = list[tuple[Tensor, Tensor]]
"""Mean and variance (B, 1, F) of each batch normalisation."""

BLOCKS = 4
EPSILON = 1e-5


class MAML(Learner):
    """Adapts all its weights by gradient descent on the support set, from a learned start θ."""

    family = "optimization-based"
    contract = 1
    references = (
        'Finn et al. 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", '
        "arXiv:1703.03400",
        'Bronskill et al. 2020, "TaskNorm: Rethinking Batch Normalization for Meta-Learning", '
        "arXiv:2003.03284",
    )
    presets = {
        "paper": {
            "training_queries": 0,
            "transductive": True,
            "max_grad_norm": 0.0,
            "meta_batch": 32,
        },
        "paper-20way": {
            "training_queries": 0,
            "transductive": True,
            "max_grad_norm": 0.0,
            "inner_lr": 0.1,
            "inner_steps": 5,
            "inner_steps_test": 5,
            "meta_batch": 16,
        },
    }

    @dataclass(frozen=True)
    class Config:
        """The paper's for 5 ways (Appendix A.1), but inductive, and with half its meta-batch: after
        80,000 images 16 tasks per update were at 82 % in meta-validation and 32 at 79 %."""

        inner_lr: float = option(0.4, "Step size of the inner loop (α).")
        inner_steps: int = option(1, "Inner gradient steps in meta-training.")
        inner_steps_test: int = option(3, "Inner gradient steps in meta-test.")
        first_order: bool = option(False, "Drop the second derivatives of the meta-gradient.")
        transductive: bool = option(False, "Normalise the queries by their own batch statistics.")
        meta_batch: int = option(16, "Tasks per update.")
        training_queries: int = option(0, "Queries per class in training; 0: as many as shots.")
        lr: float = option(1e-3, "Learning rate of Adam (β).")
        max_grad_norm: float = option(10.0, "Norm the meta-gradient is clipped to; 0: never.")
        filters: int = option(64, "Channels of each convolution.")

    def __init__(self, config: Config, task: TaskSpec) -> None:
        super().__init__(config, task)
        self.transductive = config.transductive
        self.max_grad_norm = config.max_grad_norm or None
        self.theta = nn.ParameterDict()
        channels, filters = task.input_shape[0], config.filters
        for block in range(BLOCKS):
            # No bias: the batch normalisation that follows would remove it.
            self.theta[f"conv{block}"] = _xavier(9 * channels, filters)
            self.theta[f"scale{block}"] = nn.Parameter(torch.ones(filters))
            self.theta[f"shift{block}"] = nn.Parameter(torch.zeros(filters))
            channels = filters
        self.theta["head"] = _xavier(filters, task.ways)
        self.theta["bias"] = nn.Parameter(torch.zeros(task.ways))

    def adapt(self, support_x: Tensor, support_y: Tensor, ways: int) -> State:
        """The inner loop, equation (1): θ' = θ - α ∇_θ L(f_θ).

        Returns:
            The adapted weights θ', and the statistics of the support set under them.
        """
        batch, support = support_y.shape
        meta_training = torch.is_grad_enabled()  # only then does the step itself need a graph
        second_order = meta_training and not self.config.first_order
        patches = _patches(support_x.movedim(2, -1))  # (B, S, H, W, 9C), the same in every step
        with torch.enable_grad():
            weights = self._initial_weights(batch, ways)
            for _ in range(
                self.config.inner_steps if self.training else self.config.inner_steps_test
            ):
                if not meta_training:
                    weights = {name: w.detach().requires_grad_() for name, w in weights.items()}
                features, _ = self._features(patches, weights)
                logits = self._head(features, weights)  # (B, S, N)
                # The mean over a task's support set, summed over the tasks: they share no weight,
                # and so the gradient of the sum holds the gradient of each.
                loss = F.cross_entropy(logits.flatten(0, 1), support_y.flatten(), reduction="sum")
                gradients = torch.autograd.grad(
                    loss / support, list(weights.values()), create_graph=second_order
                )
                weights = {
                    name: w - self.config.inner_lr * g
                    for (name, w), g in zip(weights.items(), gradients, strict=True)
                }
        if not meta_training:
            weights = {name: w.detach() for name, w in weights.items()}
        statistics = None if self.transductive else self._features(patches, weights)[1]
        return {"weights": weights, "statistics": statistics}

    def predict(self, state: State, query_x: Tensor) -> Tensor:
        """Logits (B, Q, N) of the adapted network."""
        patches = _patches(query_x.movedim(2, -1))  # (B, Q, H, W, 9C)
        features, _ = self._features(patches, state["weights"], state["statistics"])
        return self._head(features, state["weights"])

    def loss(self, batch: Episodes | Stream) -> Tensor:
        """The outer objective, equation (1) of Section 2.2: the query loss of the adapted weights.

        A stream is cut at one random place per update: what lies before is the support set of what
        follows. Every prefix would be one inner loop each.
        """
        if isinstance(batch, Stream):
            cut = int(torch.randint(1, batch.y.shape[1], ()))
            batch = Episodes(
                batch.ways, batch.x[:, :cut], batch.y[:, :cut], batch.x[:, cut:], batch.y[:, cut:]
            )
        return super().loss(batch)

    # -- the network, with weights of its own for every task --------------------------------------

    def _initial_weights(self, batch: int, ways: int) -> Weights:
        """θ, once per task. With fewer ways than trained the head loses its last outputs."""
        if ways > self.task.ways:
            raise ValueError(
                f"the initialisation has {self.task.ways} outputs and cannot answer {ways} ways; "
                f"meta-train it with at least {ways} ways"
            )
        theta = dict(self.theta.items())
        theta |= {name: theta[name][..., :ways] for name in ("head", "bias")}
        return {name: p.expand(batch, *p.shape) for name, p in theta.items()}

    def _features(
        self, patches: Tensor, weights: Weights, given: Statistics | None = None
    ) -> tuple[Tensor, Statistics]:
        """Four blocks of 3x3 convolution with stride 2, batch normalisation and ReLU, then the mean
        over the pixels that are left (Section 5.2).

        Args:
            patches: (B, S, H, W, 9C), of the input images.
            weights: per task.
            given: the statistics to normalise with; None: those of these S items, task by task.

        Returns:
            Features (B, S, F), and the statistics used.
        """
        statistics: Statistics = []
        for block in range(BLOCKS):
            items = patches.shape[1:4]  # S, H, W
            y = patches.flatten(1, 3) @ weights[f"conv{block}"]  # (B, S P, F)
            y = y.to(weights["bias"].dtype)  # statistics are no matter for bf16
            if given is None:
                var, mean = torch.var_mean(y, dim=1, correction=0, keepdim=True)  # (B, 1, F)
            else:
                mean, var = given[block]
            statistics.append((mean, var))
            gain = weights[f"scale{block}"][:, None] * torch.rsqrt(var + EPSILON)  # (B, 1, F)
            y = F.relu((y - mean) * gain + weights[f"shift{block}"][:, None])
            y = y.unflatten(1, items)  # (B, S, H, W, F)
            if block < BLOCKS - 1:
                patches = _patches(y)
        return y.mean((2, 3)), statistics

    @staticmethod
    def _head(features: Tensor, weights: Weights) -> Tensor:
        """Linear: (B, S, F) to (B, S, N)."""
        return features @ weights["head"] + weights["bias"][:, None]

    # -- meta-training ----------------------------------------------------------------------------

    def optimizer(self, updates: int) -> torch.optim.Optimizer:
        """Adam with the step size β of the outer loop."""
        return torch.optim.Adam(self.parameters(), lr=self.config.lr)

    @classmethod
    def training_task(cls, config: Config, task: TaskSpec) -> TaskSpec:
        """As tested, with the meta-batch and the queries of the configuration."""
        if task.protocol == "online":
            return task.but(episodes_per_update=config.meta_batch)
        queries = config.training_queries or task.shot_range[1]
        return task.but(episodes_per_update=config.meta_batch, queries=queries)

    @classmethod
    def published_updates(cls, config: Config, task: TaskSpec) -> int:
        """Appendix A.1."""
        return 60_000

    @classmethod
    def bank_share(cls, config: Config, task: TaskSpec, episodes: int) -> int:
        """Online, every prefix of an episode is an inner loop of its own."""
        return min(episodes, 200) if task.protocol == "online" else episodes


def _xavier(inputs: int, outputs: int) -> nn.Parameter:
    """A weight (inputs, outputs)."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))


def _patches(x: Tensor) -> Tensor:
    """What a 3x3 convolution with stride 2 and padding 1 sees at each of its positions.

    Args:
        x: (B, S, H, W, C).

    Returns:
        (B, S, ceil(H / 2), ceil(W / 2), 9C).
    """
    height, width = x.shape[2:4]
    window = torch.arange(3, device=x.device)
    rows = torch.arange(0, height, 2, device=x.device)[:, None] + window  # (H', 3)
    columns = torch.arange(0, width, 2, device=x.device)[:, None] + window  # (W', 3)
    pixels = rows[:, None, :, None] * (width + 2) + columns[None, :, None, :]  # (H', W', 3, 3)
    padded = F.pad(x, (0, 0, 1, 1, 1, 1)).flatten(2, 3)  # (B, S, (H + 2) (W + 2), C)
    patches = padded.index_select(2, pixels.flatten())  # (B, S, H' W' 9, C)
    return patches.unflatten(2, (len(rows), len(columns), 9)).flatten(4)
