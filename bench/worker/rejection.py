"""Outcome of a case without a figure: a status, a sentence, and the axes of the case that decided it."""

from __future__ import annotations

import re

from .text import clean, shorten


class CaseRejected(Exception):
    """The case cannot be measured as it was asked for.

    Args:
        status: ``substituted``, ``unsupported``, ``out_of_memory``, ``invalid`` or ``failed``.
        reason: one sentence for the user.
        scope: names of the case's fields that decide the outcome. Every other case with the same values ends the same
            way, so the runner need not start it. Empty: the outcome holds for this case alone.
    """

    def __init__(self, status: str, reason: str, scope: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.scope = scope


OUT_OF_MEMORY = (
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",
    "CUDNN_STATUS_INTERNAL_ERROR",
    "unable to find an engine",
    "std::bad_alloc",
)
"""Messages of a failed allocation: torch on cuda and mps, cuBLAS, cuDNN, torch on the CPU, the kernel, OpenCV, C++.

Ultralytics itself also treats those of cuDNN and of its engines as out of memory."""


LOST = re.compile(
    r"(CUDA (driver )?error: |Cuda failure \d+ ')(unspecified launch failure|an illegal memory access|unknown error|"
    r"uncorrectable .*(ECC|NVLink)|hardware stack error|the launch timed out).*|GPU is lost.*",
    re.IGNORECASE,
)
"""Messages of torch, NCCL and NVML about a card that no longer answers, or whose memory cannot be trusted."""

ADVICE = re.compile(
    r"\s*(CUDA kernel errors might be|Search for `cuda|For debugging consider|Compile with `TORCH_USE).*"
)
"""Advice on debugging that torch adds to every error of CUDA."""


def from_exception(error: BaseException) -> CaseRejected:
    """Return the rejection of the case that an exception of a workload means."""
    from .input_errors import describe_error, explained

    if isinstance(error, CaseRejected):
        return error
    if (known := explained(error)) is not None:
        return known
    text = " ".join(clean(str(error)).split()) or type(error).__name__
    if isinstance(error, MemoryError) or any(sign.lower() in text.lower() for sign in OUT_OF_MEMORY):
        return CaseRejected("out_of_memory", f"Out of memory: {shorten(text)}")
    text = ADVICE.sub("", text)
    if (lost := LOST.search(text)) is not None:
        message = shorten(lost[0]).rstrip(".")
        return CaseRejected(
            "failed", f"The card stopped: {message}. A Xid in the system's log says whether it or a program failed."
        )
    return CaseRejected("failed", f"{type(error).__name__}: {describe_error(text)}")
