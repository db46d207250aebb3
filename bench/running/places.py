"""Where work can be done on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from bench.worker.devices import Device


def usable_places(names: Sequence[str]) -> list[Device]:
    """The devices by name, each once, checked against this machine.

    Raises:
        BenchError: for a name that means nothing, or a device that is not here.
    """
    devices = list(dict.fromkeys(Device.parse(name) for name in names))
    for device in devices:
        device.check()
    return devices
