"""One GPU model for each column of timings: those of two models are not to be compared."""

from __future__ import annotations

from pathlib import Path

from bench.api.executor import PlanMismatchError
from bench.store import layout
from bench.store.atomic import locked, write_json
from bench.store.checked import UnreadableError, read_record
from bench.store.records import TimedOn, TimingResult
from bench.worker.devices import Device


def hold_model(results: Path, device: Device) -> None:
    """Before something is timed on a GPU: it has to be of the model that the folder's other timings
    of this device are of.

    Args:
        results: the results folder.
        device: what is to be timed.

    Raises:
        PlanMismatchError: it is another one.
    """
    if device.kind != "cuda":
        return
    name, path = gpu_name(device), layout.model_file(results, device.name)
    with locked(path.parent):
        held = held_model(results, device)
        if held is None:
            write_json(path, TimedOn(device=device.name, device_name=name))
    if held not in {None, name}:
        raise PlanMismatchError(
            f"{device.name} was timed on a {held} in this results folder, and this is a {name}; "
            "have timings carried out on one model (Slurm: -X gres=gpu:TYPE:1), or name "
            "another folder with --results"
        )


def held_model(results: Path, device: Device) -> str | None:
    """The GPU model that a device was timed on; None where it was not."""
    try:
        path = layout.model_file(results, device.name)
        return str(read_record(path, TimedOn, ("device", device.name))["device_name"])
    except UnreadableError:
        pass
    for path in layout.timings_of(results, device.name):  # of an older version
        try:
            return str(read_record(path, TimingResult)["environment"]["device_name"])
        except UnreadableError:
            continue
    return None


def gpu_name(device: Device) -> str:
    """The model of a GPU of this machine."""
    import torch

    return torch.cuda.get_device_name(device.torch)
