"""Several devices in one case: one process per device, or DataParallel, by which one process takes all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..rejection import CaseRejected

if TYPE_CHECKING:
    from ..devices import Device
    from ..protocol import CaseJob
    from ..timing.session import Session
    from ..workloads import Workload

AXIS = "parallel"
"""Name of the axis, and of the setting that is read back."""

LOOKED_AT = 64
"""Values of each parameter that are compared between ranks."""

ALIKE = 1e-4
"""Maximum difference of the sums of parameters; one step without gradient exchange causes a far larger one."""


def check(job: CaseJob, workload: Workload, devices: Sequence[str], indexed: bool) -> None:
    """Raise :class:`CaseRejected` for a value of the axis that the case cannot have.

    Args:
        job: job of the case.
        workload: family of the case.
        devices: devices of the case.
        indexed: whether their kind may have several devices, distinguished by an index.
    """
    asked = next((requested.text for requested in job.asked if requested.axis == AXIS), "")
    if not asked:
        return
    if len(devices) == 1 and devices[0] == job.case["device"]:
        reason = f"parallel {asked} requested: device {devices[0]} is one device; name several, as in 0+1."
        raise CaseRejected("unsupported", reason, scope=("device", AXIS))
    if job.single_process and not workload.data_parallel:
        reason = f"parallel {asked} requested: {workload.title} trains by one process per device only."
        raise CaseRejected("unsupported", reason, scope=("model", AXIS))
    if job.single_process and not indexed:
        reason = f"parallel {asked} requested: torch's DataParallel does nothing on {devices[0]}; use parallel ddp."
        raise CaseRejected("unsupported", reason, scope=("device", AXIS))


def wrapper(model: Any) -> str | None:
    """Return the name of torch's class that trains a live model on several devices; None for a single device.

    A DataParallel without a second device passes batches through, and does not count.
    """
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    model = getattr(model, "_orig_mod", model)
    if isinstance(model, DistributedDataParallel):
        return "DistributedDataParallel"
    several = isinstance(model, DataParallel) and len(model.device_ids) > 1
    return "DataParallel" if several else None


def devices_of(model: Any, device: Device) -> str | None:
    """Return the devices that DataParallel takes, where they are others than the case's; None where they agree."""
    from torch.nn.parallel import DataParallel

    if not isinstance(model, DataParallel):
        return None
    taken = list(model.device_ids) or [device.index]
    return None if taken == device.indices else "+".join(map(device.called, taken))


def init_process_group(session: Session) -> None:
    """Join the ranks that exchange gradients, by torch's own backend for the kind of device."""
    import torch.distributed as dist

    group = session.process_group
    backend = dist.Backend.default_device_backend_map[session.device.kind]
    dist.init_process_group(backend, rank=group.rank, world_size=group.size)


def wrap(model: Any, session: Session) -> Any:
    """Return a model on its device as several devices train it; the model itself for a single device."""
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    device = session.device
    if session.process_group.size > 1:
        return DistributedDataParallel(model, device_ids=[device.index] if device.indexed else None)
    return DataParallel(model, device_ids=device.indices) if session.job.single_process else model


def agree(model: Any, session: Session) -> None:
    """Check after the window that the parameters of all ranks agree, since they took the same gradients.

    They agree to the bit on devices of one model. Different devices sum up a gradient's norm, which clips the gradient,
    in different orders.

    Raises:
        CaseRejected: with status ``invalid`` where they differ: the ranks did not train together.
    """
    import torch

    own_sums = [
        parameter.detach().reshape(-1)[:LOOKED_AT].double().sum()
        for parameter in model.parameters()
        if parameter.requires_grad
    ]
    sums = session.process_group.all_gather(torch.stack(own_sums).cpu().tolist())
    same = all(
        math.isclose(a, b, rel_tol=ALIKE, abs_tol=ALIKE) for rank_sums in sums for a, b in zip(rank_sums, sums[0])
    )
    session.checks["ranks_agree"] = same
    if not same:
        reason = f"The parameters of the {len(sums)} ranks differ: their gradients were not put together."
        raise CaseRejected("invalid", reason)
