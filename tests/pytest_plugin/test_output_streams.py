"""Standard output in every encoding, and when nobody takes it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PREPARED = "import sys; from bench.pytest_plugin import output_streams as output; output.prepare(); "


def python(code, **options):
    """Runs code after the streams were prepared: exit status, and what was written as bytes."""
    variables = {**os.environ, **options.pop("variables", {})}
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + code], cwd=ROOT, capture_output=True, env=variables, check=False, **options
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", b"+/- | u caf\\xe9 \\u4e2d <= \\udc80"),
        ("latin-1", b"\xb1 \xb7 \xb5 caf\xe9 \\u4e2d <= \\udc80"),
        ("cp1252", b"\xb1 \xb7 \xb5 caf\xe9 \\u4e2d <= \\udc80"),
        ("gbk", "± · u caf".encode("gbk") + "é 中 ≤ ".encode("gbk") + b"\\udc80"),
        ("utf-8", "± · µ café 中 ≤ ".encode() + b"\\udc80"),
        ("ascii:strict", b"+/- | u caf\\xe9 \\u4e2d <= \\udc80"),
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_an_encoding_lacks_is_written_in_ascii(encoding, written, stream):
    code, *both = python(
        rf"print('\xb1 \xb7 \xb5 caf\xe9 \u4e2d \u2264 \udc80', file=sys.{stream})",
        variables={"PYTHONIOENCODING": encoding},
    )
    expected = written.replace(b"\\udc80", b"\\x80")
    assert (code, both[stream == "stderr"]) == (0, expected + b"\n")


def test_data_are_utf_8_in_every_locale():
    code, out, _ = python("output.data_follow(); print('\\xb1')", variables={"PYTHONIOENCODING": "ascii"})
    assert (code, out) == (0, "±\n".encode())


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("size", "stream"), [(1, "stdout"), (1_000_000, "stdout"), (1, "stderr")])
def test_a_reader_that_has_gone_ends_the_command_as_sigpipe_would(unbuffered, size, stream):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", f"{PREPARED}print('x' * {size}, file=sys.{stream}); sys.{stream}.flush()"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=write if stream == "stdout" else subprocess.PIPE,
        stderr=write if stream == "stderr" else subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode == 141
    assert not done.stderr and not done.stdout


def test_libraries_cannot_take_a_closed_pipe_for_a_failure():
    read, write = os.pipe()
    os.close(read)
    code = (
        "import os\n"
        "try:\n"
        "    print('x'); sys.stdout.flush()\n"
        "except Exception:\n"  # as rich and click catch it, and end with 1
        "    os._exit(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{PREPARED}\n{code}"], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_streams_that_are_no_files_stay_as_they_are(capsys, monkeypatch):
    import io

    from bench.pytest_plugin import output_streams

    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    output_streams.prepare()
    output_streams.data_follow()
    assert sys.stdout is mine


def test_output_that_cannot_be_written_is_dropped_and_reported():
    read, write = os.pipe()
    os.close(read)
    code = (
        "from bench.pytest_plugin import output_streams as output; import sys\n"
        "streams = output.prepare(raising=False)\n"
        "print('x'); sys.stdout.flush(); print('y'); sys.stdout.flush()\n"
        "print(repr(streams.failure), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"BrokenPipeError(32, 'Broken pipe')\n")


def test_all_that_was_written_arrives_through_a_terminal_that_does_not_wait():
    read, write = os.pipe()
    os.set_blocking(write, False)
    code = f"{PREPARED}print('x' * 300_000)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=write, stderr=subprocess.PIPE) as process:
        os.close(write)
        with open(read, "rb") as pipe:
            assert len(pipe.read()) == 300_001
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("again", ["", "output.prepare(raising=False); "])
def test_a_duplicate_goes_where_the_stream_went_before_it_was_captured(again):
    code = (
        f"import os; streams = output.prepare(raising=False); {again}"
        "mine = streams.duplicate('stdout')\n"
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n"
        "print('captured', flush=True); mine.write('shown \\xb1\\n'); mine.flush()\n"
    )
    done = python(code, variables={"PYTHONIOENCODING": "ascii"})
    assert done == (0, b"shown +/-\n", b"")


def test_a_text_is_measured_as_the_encoding_shows_it():
    from bench.pytest_plugin.output_streams import readable

    assert [readable("4 × 2 …", encoding) for encoding in ("ascii", "utf-8", None)] == [
        "4 x 2 ...",
        "4 × 2 …",
        "4 × 2 …",
    ]
