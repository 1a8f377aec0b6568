"""Facts on a measured interpreter, as its worker reports them (``bench/worker/interpreter/doctor.py``)."""

from __future__ import annotations

import msgspec


class CudaBuild(msgspec.Struct, frozen=True):
    """CUDA as torch sees it: see ``probe_backend`` in ``bench/worker/devices/cuda.py``."""

    built: str | None = None
    error: str = ""
    architectures: tuple[str, ...] = ()
    cards: tuple[CudaCard, ...] = ()
    nccl: bool = False
    tf32: bool = False


class CudaCard(msgspec.Struct, frozen=True):
    """A card as torch sees it."""

    name: str
    capability: tuple[int, int]
    bytes: int


class MpsBuild(msgspec.Struct, frozen=True):
    """MPS as torch sees it: see ``probe_backend`` in ``bench/worker/devices/mps.py``."""

    built: bool = False
    available: bool = False
    bytes: int | None = None
    operators: dict[str, str] = {}


class AcceleratorDevice(msgspec.Struct, frozen=True):
    """One device of another kind as torch sees it."""

    name: str
    bytes: int | None = None


class AcceleratorBuild(msgspec.Struct, frozen=True):
    """Another kind of accelerator as torch sees it; ``reason`` says why it cannot be used, or is empty."""

    reason: str = ""
    devices: tuple[AcceleratorDevice, ...] = ()


class CpuBuild(msgspec.Struct, frozen=True):
    """The CPU as torch sees it."""

    capability: str = ""
    mkldnn: bool = False


class Packages(msgspec.Struct, frozen=True):
    """Versions of an interpreter; ``unusable`` is one sentence on what is missing or too old, or empty."""

    python: str
    packages: dict[str, str] = {}
    unusable: str = ""


class Software(msgspec.Struct, frozen=True):
    """All facts on an interpreter: see ``facts`` in ``bench/worker/interpreter/doctor.py``."""

    environment: Packages
    import_error: str = ""
    cpu: CpuBuild = CpuBuild()
    cuda: CudaBuild = CudaBuild()
    mps: MpsBuild = MpsBuild()
    accelerators: dict[str, AcceleratorBuild] = {}
    gloo: bool = False
    meters: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    weights: tuple[str, ...] = ()
    thermal: str | None = None
