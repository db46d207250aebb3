"""The tracker ``tensorboard``: PyTorch's own writer, into a training's folder."""

from __future__ import annotations

from collections.abc import Mapping

from bench.api import MissingRequirementError
from bench.api.tracker import Tracked, Tracker

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """Curves for ``tensorboard --logdir results/trainings``.

    Raises:
        MissingRequirementError: the package tensorboard is not installed.
    """

    def __init__(self, tracked: Tracked) -> None:
        super().__init__(tracked)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingRequirementError(
                "the tracker tensorboard needs the package tensorboard",
                "pip install 'bench-metalearning[tensorboard]'",
            ) from error
        # What an interrupted training wrote after its last checkpoint is written again.
        self.writer = SummaryWriter(str(tracked.folder / FOLDER), purge_step=tracked.updates)
        about = {"learner": tracked.learner, "dataset": tracked.dataset, "seed": tracked.seed}
        lines = (f"    {key}: {value}" for key, value in (about | {**tracked.config}).items())
        self.writer.add_text("training", "\n".join(lines), tracked.updates)

    def log(self, update: int, values: Mapping[str, float]) -> None:
        """Each value is a curve over updates."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, update)
        self.writer.flush()  # to be watched while it grows

    def close(self) -> None:
        """Closes the file."""
        self.writer.close()
