from __future__ import annotations

import pytest

from bench.records import Status
from bench.worker.rejection import CaseRejected, from_exception


def test_a_refusal_stays_itself() -> None:
    refused = CaseRejected("unsupported", "No such model.", ("model",))
    assert from_exception(refused) is refused
    assert (refused.status, refused.reason, refused.scope) == ("unsupported", "No such model.", ("model",))
    assert str(refused) == "No such model."


OUT_OF_MEMORY = [
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.10 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.90 GiB, other allocations: 25.11 MiB)"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1000000000000 bytes."),
    MemoryError(),
    MemoryError("Unable to allocate 7.45 GiB for an array with shape (1000000000,)"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:40])
def test_an_allocator_that_gave_up(error: BaseException) -> None:
    refused = from_exception(error)
    assert refused.status == "out_of_memory"
    assert refused.reason.startswith("Out of memory: ")
    assert refused.scope == ()


@pytest.mark.parametrize(
    "error",
    [
        OSError(12, "Cannot allocate memory"),
        RuntimeError("unable to mmap 67108864 bytes from file </torch_1_2_3>: Cannot allocate memory (12)"),
    ],
    ids=["fork", "mmap"],
)
def test_a_system_that_gave_up(error: BaseException) -> None:
    assert from_exception(error).status == "out_of_memory"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no\n  such   thing"), "ValueError: no such thing"),
        (KeyboardInterrupt(), "KeyboardInterrupt: KeyboardInterrupt"),
        (RuntimeError("x" * 1000), f"RuntimeError: {'x' * 1000}"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    ],
    ids=["lines", "empty", "long", "disk"],
)
def test_anything_else_failed_for_a_reason_of_one_line(error: BaseException, reason: str) -> None:
    refused = from_exception(error)
    assert (refused.status, refused.reason, refused.scope) == ("failed", reason, ())


def test_a_longer_message_keeps_its_remedy_and_ends_after_a_sentence() -> None:
    refused = from_exception(RuntimeError("What is wrong here. " * 20 + "Do that. " + "And so on. " * 200))
    assert "Do that." in refused.reason
    assert refused.reason.endswith("And so on. …")
    assert 1400 < len(refused.reason) < 1600


DEBUGGING = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
    "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)


@pytest.mark.parametrize(
    "message",
    [
        "CUDA error: unspecified launch failure",
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: unknown error",
        "CUDA driver error: unspecified launch failure",
        "CUDA error: uncorrectable NVLink error detected during the execution",
        "Cuda failure 719 'unspecified launch failure'",
        "GPU is lost",
    ],
)
def test_a_card_that_is_lost(message: str) -> None:
    refused = from_exception(RuntimeError(message + DEBUGGING))
    assert (refused.status, refused.scope) == ("failed", ())
    reason = f"The card stopped: {message}. A Xid in the system's log says whether it or a program failed."
    assert refused.reason == reason
    thread = RuntimeError(
        "Caught RuntimeError in override memory thread.\n" + "Traceback\n" * 100 + f"{message}{DEBUGGING}"
    )
    assert from_exception(thread).reason == reason


def test_what_torch_adds_for_those_who_debug_is_left_out() -> None:
    error = RuntimeError("CUDA error: device-side assert triggered" + DEBUGGING)
    assert from_exception(error).reason == "RuntimeError: CUDA error: device-side assert triggered"


def test_a_machine_is_no_card() -> None:
    error = OSError(133, "Memory page has hardware error")
    assert from_exception(error).reason == "OSError: [Errno 133] Memory page has hardware error"


def test_every_status_is_one_that_a_record_has() -> None:
    for error in (ValueError("x"), MemoryError(), CaseRejected("unsupported", "x")):
        assert Status(from_exception(error).status)
