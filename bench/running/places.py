"""Where work can be done on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import BenchError
from bench.worker.devices import Device


def usable_places(names: Sequence[str], *, elsewhere: bool = False) -> list[Device]:
    """The devices by name, each once.

    Args:
        names: as asked for.
        elsewhere: other machines have them; else they are checked against this one.

    Raises:
        BenchError: for a name that means nothing, a device that is not here, or the number of one
            that an engine chooses.
    """
    devices = list(dict.fromkeys(Device.parse(name) for name in names))
    for device in devices:
        if not elsewhere:
            device.check()
        elif device.number:
            raise BenchError(
                f"{device.name}: which GPU of which machine it is, the executor decides; use "
                "--device cuda"
            )
    return devices
