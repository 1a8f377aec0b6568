"""Causes are recognised by what the system and libraries really say, and each has the remedy for just that."""

import errno
import signal
import subprocess

import pytest

from bench.environments import failure_causes
from bench.errors import UsageError

OPENBLAS = """\
OpenBLAS blas_thread_init: pthread_create failed for thread 1 of 2: Resource temporarily unavailable
OpenBLAS blas_thread_init: RLIMIT_NPROC 2 current, 2 max
Traceback (most recent call last):
  File "entry.py", line 72, in <module>
    raise SystemExit(main(sys.argv[1:]))
BlockingIOError: [Errno 11] Resource temporarily unavailable
nanobind: leaked 2 instances!
See https://nanobind.readthedocs.io/en/latest/refleaks.html
"""

DATA_LOADER = (
    "RuntimeError: DataLoader worker (pid 4711) is killed by signal: Bus error. It is possible that dataloader's "
    "workers are out of shared memory. Please try to raise your shared memory limit."
)

HARMLESS = """\
WARNING: cannot write the font cache: [Errno 13] Permission denied: '/home/me/.cache/fontconfig'
Downloading failed: Network is unreachable
Traceback (most recent call last):
  File "train.py", line 3, in <module>
ValueError: no.
"""


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (OPENBLAS, failure_causes.PROCESSES),
        ("RuntimeError: can't start new thread", failure_causes.PROCESSES),
        ("OMP: Error #34: System unable to allocate necessary resources for OMP thread:", failure_causes.PROCESSES),
        ("libgomp: Thread creation failed: Resource temporarily unavailable", failure_causes.PROCESSES),
        ("sh: 1: Cannot fork", failure_causes.PROCESSES),
        ("OSError: [Errno 24] Too many open files: 'batch.txt'", failure_causes.FILES),
        ("RuntimeError: received 0 items of ancdata", failure_causes.FILES),
        ("OSError: [Errno 23] Too many open files in system", failure_causes.FILES),
        (DATA_LOADER, failure_causes.SHARED),
        (
            "RuntimeError: unable to write to file </torch_1_2>: No space left on device in /dev/shm",
            failure_causes.SHARED,
        ),
        ("MemoryError", failure_causes.MEMORY),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
            failure_causes.MEMORY,
        ),
        (
            "ImportError: libtorch_cpu.so: failed to map segment from shared object: Cannot allocate memory",
            failure_causes.MEMORY,
        ),
        ("ImportError: libtorch_cpu.so: failed to map segment from shared object", failure_causes.NO_EXECUTION),
        ("OSError: [Errno 28] No space left on device: 'best.pt'", failure_causes.DISK),
        ("OSError: [Errno 122] Disk quota exceeded", failure_causes.QUOTA),
        ("OSError: [Errno 27] File too large", failure_causes.SIZE),
        ("OSError: [Errno 30] Read-only file system: 'runs'", failure_causes.READ_ONLY),
        ("PermissionError: [Errno 13] Permission denied: 'runs'", failure_causes.PERMISSION),
        ("ImportError: /lib/libm.so.6: version `GLIBC_2.38' not found (required by libx.so)", failure_causes.SYSTEM),
        ("RuntimeError: NumPy was built with baseline optimizations: (X86_V2) but ...", failure_causes.PROCESSOR),
        ("Fatal Python error: Illegal instruction", failure_causes.PROCESSOR),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", failure_causes.NETWORK),
        ("RuntimeError: The server socket has failed to listen: Address already in use", failure_causes.PORT),
    ],
)
def test_what_is_recognised(text, remedy):
    assert failure_causes.recognised(text) == remedy


def test_a_library_that_finds_no_address_space(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda limit: (600_000, 600_000))
    assert (
        failure_causes.recognised("ImportError: libx.so: failed to map segment from shared object")
        == failure_causes.MEMORY
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "headless"),
        ("ImportError: libcudart.so.13: cannot open shared object file: No such file", "a build of torch"),
        ("ImportError: dlopen(x): Library not loaded: @rpath/libomp.dylib", "The library libomp.dylib is missing"),
        ("ModuleNotFoundError: No module named 'yaml.cyaml'", "The Python package yaml is missing"),
        ("ModuleNotFoundError: No module named 'encodings'", "unset PYTHONHOME"),
    ],
)
def test_what_is_missing_is_named(text, words):
    assert words in failure_causes.recognised(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ValueError: no.",
        HARMLESS,
        "KeyError: 24",
        "it was 13 Errno",
        "ImportError: cannot import name 'x' from 'y'",
    ],
)
def test_what_is_not_known_gets_no_remedy(text):
    assert failure_causes.recognised(text) == ""


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.EMFILE, "Too many open files"), f"Too many open files. {failure_causes.FILES}"),
        (OSError(errno.EAGAIN, "Kein Prozess"), f"Kein Prozess. {failure_causes.PROCESSES}"),
        (OSError(errno.EROFS, "Read-only", "a"), f"Read-only (a). {failure_causes.READ_ONLY}"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error. Put that right, and run it again."),
        (MemoryError(), failure_causes.MEMORY),
        (RuntimeError("can't start new thread"), f"can't start new thread. {failure_causes.PROCESSES}"),
        (RuntimeError("no"), ""),
    ],
)
def test_errors_of_the_system(error, sentence):
    assert failure_causes.describe_system_error(error) == sentence


@pytest.mark.parametrize(
    ("code", "text", "sentence"),
    [
        (-signal.SIGILL, "", failure_causes.PROCESSOR),
        (-signal.SIGBUS, "", failure_causes.SHARED),
        (-signal.SIGKILL, "", failure_causes.KILLED),
        (-signal.SIGKILL, "can't start new thread", failure_causes.PROCESSES),
        (-signal.SIGSEGV, "", ""),
        (-99, "", ""),
        (1, "No space left on device", failure_causes.DISK),
        (1, "", ""),
    ],
)
def test_how_a_process_ended(code, text, sentence):
    assert failure_causes.describe_early_exit(code, text) == sentence


def test_an_unknown_cause_says_where_the_log_is(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sentence = failure_causes.unknown("what\nit printed\n")
    [file] = tmp_path.iterdir()
    assert sentence == f"The cause is not known; its output is in {file}."
    assert file.read_text() == "what\nit printed\n"
    assert failure_causes.unknown(" \n") == "The cause is not known: it printed nothing."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (subprocess.TimeoutExpired("python", 60), "(nothing in 60 s)."),
        (BlockingIOError(errno.EAGAIN, "unavailable"), f"(unavailable). {failure_causes.PROCESSES}"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "(No such file). The cause is not known."),
        (
            subprocess.CalledProcessError(1, "python", stderr="x\nMemoryError\n"),
            f"(MemoryError). {failure_causes.MEMORY}",
        ),
        (
            subprocess.CalledProcessError(1, "python", stderr="SyntaxError: invalid syntax"),
            f"(SyntaxError: invalid syntax). {failure_causes.SYNTAX}",
        ),
        (
            subprocess.CalledProcessError(-4, "python", stderr=""),
            f"(it was killed by SIGILL). {failure_causes.PROCESSOR}",
        ),
    ],
)
def test_a_call_that_gave_no_answer(error, sentence):
    assert failure_causes.describe_call_failure(error) == sentence


def test_errors_of_the_system_become_one_sentence():
    expected = r"^no worker can be started: Too many open files\. Too many files are open"
    with pytest.raises(UsageError, match=expected), failure_causes.as_usage_error("no worker can be started"):
        raise OSError(errno.EMFILE, "Too many open files")
    with pytest.raises(RuntimeError, match="ours"), failure_causes.as_usage_error("no worker can be started"):
        raise RuntimeError("ours")
