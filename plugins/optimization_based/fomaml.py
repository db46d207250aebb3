"""First-order MAML: MAML without the derivative of the inner gradients.

References:
    Finn, Abbeel, Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks",
    ICML, arXiv:1703.03400, Section 5.2: the first-order approximation.
    Nichol, Achiam, Schulman 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999,
    Section 3: its name.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.api import option
from bench_plugins.optimization_based.maml import MAML


class FOMAML(MAML):
    """The meta-gradient is the query loss's gradient at θ', applied to θ."""

    contract = 2
    references = (
        *MAML.references,
        'Nichol et al. 2018, "On First-Order Meta-Learning Algorithms", arXiv:1803.02999',
    )

    @dataclass(frozen=True)
    class Config(MAML.Config):
        """MAML's."""

        first_order: bool = option(True, "Drop the second derivatives of the meta-gradient.")
