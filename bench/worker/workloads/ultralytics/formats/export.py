"""Export the model of a case into the cache: in a process of its own, verified before it gets its final name."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .... import devices
from ....input_errors import describe_error
from ....protocol import ExportJob
from ....rejection import OUT_OF_MEMORY, CaseRejected
from ....text import one_line
from ...made_files import discard, unwritable
from .. import models, random_objects, read_settings
from ..expected_settings import HINTS, SCOPE
from ..models import Model, shape_of
from . import find, format_of, parity, weights
from .base import Runtime, check, forbid_installs
from .cache import MADE, note_use, prune
from .weights import new_predictor, pool_of, sample_of, seeded

SCHEME = 2
"""Number of the way in which exports are made; another number makes all of them again."""

LEAST_FREE = 32 * 2**20
"""Free bytes below which a failed export is taken for one without room."""

NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

CALIBRATION_IMAGES = 64
LEAST_CALIBRATION = 8
"""Images by which int8 is calibrated, at most and at least."""

INEXPRESSIBLE = (AssertionError, ValueError, NotImplementedError, TypeError)
"""Errors of an exporter by which a format cannot express a model."""


def provide(job: ExportJob) -> dict[str, Any]:
    """Return an export of a case's model, and make it where the cache has none that is whole.

    Returns:
        See :class:`~....protocol.Exported`.

    Raises:
        CaseRejected: where the format cannot have the case, packages are missing, or the export fails.
    """
    case = job.case
    runtime = find(format_of(case))
    device = devices.open_device(case["device"])
    check(runtime, case, device.kind, making=True)
    forbid_installs()
    model = models.find_model(case["model"], "predict", job.data)
    arguments: dict[str, Any] = {
        "imgsz": case["imgsz"],
        "batch": case["batch"],
        **runtime.export_arguments(case["amp"]),
    }
    key = key_of(job, runtime, model, arguments, device.local_name)
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    folder = Path(job.root) / name
    made = intact(folder, key)
    note_use(folder)
    prune(Path(job.root))
    if made is not None:
        return {**made, **place(folder, made), "made": False}
    try:
        work = Path(job.scratch) / ".new-export"
        work.mkdir()
        facts = make(work, job, runtime, model, {**arguments, "device": device.device_argument})
        (work / MADE).write_text(json.dumps({"key": key, **facts}, indent=1), encoding="utf-8")
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            discard(folder)
        try:
            os.replace(work, folder)
        except OSError:
            if intact(folder, key) is None:  # another run was faster otherwise
                raise
    except CaseRejected:
        raise
    except Exception as error:  # torch and exporters have errors of their own for a full disk
        if not isinstance(error, OSError) and shutil.disk_usage(job.scratch).free >= LEAST_FREE:
            raise
        full = error if isinstance(error, OSError) else NO_ROOM
        raise unwritable(f"the export to {runtime.name}", job.root, full) from error
    return {**facts, **place(folder, facts), "made": True}


def place(folder: Path, facts: dict[str, Any]) -> dict[str, str]:
    """Return the folder of an export and the path that Ultralytics loads."""
    return {"folder": str(folder), "file": str(folder / facts["name"])}


def intact(folder: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is known of an export in the cache; None where it is missing, damaged, or of another key."""
    try:
        made: dict[str, Any] = json.loads((folder / MADE).read_text(encoding="utf-8"))
        whole = made.pop("key") == key and hash_of(folder) == made["sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return made if whole else None


def hash_of(folder: Path) -> str:
    """Return the hash of all files of an export, apart from :data:`MADE`."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MADE):
        digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
        with file.open("rb") as content:
            while block := content.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def key_of(job: ExportJob, runtime: Runtime, model: Model, arguments: dict[str, Any], device: str) -> dict[str, Any]:
    """Return all that an export depends on."""
    case, file = job.case, Path(model.file)
    key: dict[str, Any] = {
        "scheme": SCHEME,
        "format": runtime.name,
        "arguments": arguments,
        "amp": case["amp"],
        "packages": packages(runtime),
        "platform": f"{platform.system()} {platform.machine()}",
        **runtime.identity(device),
    }
    if model.file.endswith(".pt"):
        key["weights"] = file_hash(file)
    else:
        shape = shape_of(job.data)
        sources = [Path(str(random_objects.__file__)), Path(str(weights.__file__)), *sample_of(job.data)]
        key["weights"] = f"seed 0 {hashlib.sha256(b''.join(map(Path.read_bytes, sources))).hexdigest()[:12]}"
        key["network"] = file_hash(file) if file.exists() else model.file
        key["shape"] = [shape["channels"], shape["nc"], shape.get("kpt_shape")]
    if case["amp"] == "int8":
        digest = hashlib.sha256()
        for image in calibration_images(job.data):
            digest.update(image.read_bytes())
        key["calibration"] = digest.hexdigest()
    return key


def file_hash(file: Path) -> str:
    """Return the hash of a file's content."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def packages(runtime: Runtime) -> dict[str, str]:
    """Return the versions of the packages that make an export, by distribution."""
    import ultralytics

    versions = {"ultralytics": str(ultralytics.__version__)}
    for name in ("torch", *runtime.recorded):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def make(folder: Path, job: ExportJob, runtime: Runtime, model: Model, arguments: dict[str, Any]) -> dict[str, Any]:
    """Export into a folder, verify the result, and return its facts."""
    case, source = job.case, folder / "model.pt"
    if model.file.endswith(".pt"):
        shutil.copyfile(model.file, source)
    else:
        whole = models.user_model(model)
        whole.model = seeded(case["model"], model, job.data, case["imgsz"], job.overrides, job.scratch)
        whole.save(source)
    saved = model._replace(file=str(source))
    if case["amp"] == "int8":
        arguments = {**arguments, "data": calibration_data(folder, job.data)}
    began = time.perf_counter()
    exported = run_exporter(saved, runtime, case, arguments, folder)
    seconds = time.perf_counter() - began
    reference, facts = original(saved, model, job, folder)
    verify(exported, case, arguments, facts)
    source.unlink()
    for left in list(folder.iterdir()):  # such as the ONNX file of an engine
        if left not in (exported, reference):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    named = {name: value for name, value in arguments.items() if name not in ("data", "device")}
    return {
        "name": exported.name,
        "format": runtime.name,
        "seconds": round(seconds, 3),
        "bytes": sum(file.stat().st_size for file in files_of(exported)),
        "sha256": hash_of(folder),
        "arguments": named,
        "packages": packages(runtime),
        "model": facts,
    }


def files_of(exported: Path) -> Iterator[Path]:
    """Yield the files of an export, which is a file or a folder."""
    yield from (path for path in exported.rglob("*") if path.is_file()) if exported.is_dir() else (exported,)


def run_exporter(saved: Model, runtime: Runtime, case: dict[str, Any], arguments: dict[str, Any], folder: Path) -> Path:
    """Run Ultralytics' exporter; return the file or folder that it made.

    Raises:
        CaseRejected: where it fails, with its message.
    """
    try:
        made = models.user_model(saved).export(format=runtime.name, verbose=False, **arguments)
    except OSError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {describe_error(error)}"
        if any(sign.lower() in text.lower() for sign in OUT_OF_MEMORY):
            raise
        if shutil.disk_usage(folder).free < LEAST_FREE:
            raise NO_ROOM from error
        text = one_line(text, 300).rstrip(".")
        if isinstance(error, INEXPRESSIBLE) or "Unsupported" in type(error).__name__:
            reason = f"format {runtime.name}: model {case['model']} cannot be exported to it ({text})."
            raise CaseRejected("unsupported", reason, ("mode", "model", "format", "amp", "batch", "imgsz")) from error
        raise CaseRejected("failed", f"The export to {runtime.name} failed: {text}.") from error
    place = Path(str(made).rstrip(os.sep))
    if not place.exists() or place.parent.resolve() != folder.resolve() or not place.name.endswith(runtime.suffix):
        reason = f"The export to {runtime.name} left no file of that format."
        raise CaseRejected("failed", reason)
    return folder / place.name


def photographs(model: Model, data: str) -> list[Path]:
    """Return the images of the comparison: those that made the seeded weights, or the two that Ultralytics brings."""
    from ultralytics.utils import ASSETS

    return (
        [Path(ASSETS) / name for name in ("bus.jpg", "zidane.jpg")] if model.file.endswith(".pt") else sample_of(data)
    )


def original(saved: Model, named: Model, job: ExportJob, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Run the checkpoint on the images of the comparison, and save its outputs; return their file, and facts of it.

    Args:
        saved: checkpoint that was exported.
        named: model as the case names it.
        job: of the export.
        folder: for the file.
    """
    import torch

    predictor = new_predictor(named, job.case["imgsz"], job.overrides, job.scratch)
    network = models.user_model(saved).model
    models.complete(network, job.case["imgsz"])
    predictor.setup_model(model=network, verbose=False)
    images = parity.images(
        photographs(named, job.data)[: job.case["batch"]], job.case["imgsz"], models.channels(network)
    )
    facts = read_settings.describe(predictor)

    def run() -> list[Any]:
        with torch.inference_mode():
            return parity.kept(predictor.model(images), named.task.name)

    raw = run()
    parity.save(folder, images, raw)
    facts["half_distance"] = parity.distance_of_half(read_settings.network(predictor), run, raw, facts)
    facts["gflops"] = read_settings.count_gflops(read_settings.network(predictor), job.case["imgsz"])
    return folder / parity.FILE, {**facts, "task": named.task.name}


def verify(exported: Path, case: dict[str, Any], arguments: dict[str, Any], facts: dict[str, Any]) -> None:
    """Check that the metadata of an export are those of the case.

    Raises:
        CaseRejected: ``substituted`` for another size, batch, precision or head; ``failed`` without metadata.
    """
    from ultralytics.nn.autobackend import AutoBackend

    base = AutoBackend._BACKEND_MAP["onnx"]
    reader = base.__new__(base)
    reader.dynamic, reader.metadata = False, {}
    reader.apply_metadata(base.read_metadata(exported))
    data = reader.metadata
    if not data:
        raise CaseRejected("failed", f"The export {exported.name} says nothing of its size and batch: it is not whole.")
    size = [int(side) for side in data["imgsz"]]
    stated = {
        "imgsz": size[0] if len(set(size)) == 1 else f"{size[0]}x{size[1]}",
        "batch": int(data["batch"]),
        "quantize": data.get("args", {}).get("quantize"),
        "end2end": bool(data.get("end2end")),
        "dynamic": bool(data.get("dynamic")),
    }
    wanted = {
        "imgsz": case["imgsz"],
        "batch": case["batch"],
        "quantize": arguments.get("quantize"),
        "end2end": facts["end2end"],
        "dynamic": False,
    }
    for name, value in wanted.items():
        if stated[name] != value:
            why = f": {HINTS[name, None]}" if (name, None) in HINTS else ""
            reason = f"{name} {value} requested, {name} {stated[name]} would run{why}."
            raise CaseRejected("substituted", reason, SCOPE.get(name, ()))


# Calibration of int8


def calibration_images(data: str) -> list[Path]:
    """Return the images by which int8 is calibrated: of the pool of a made data set, or training images of the user.

    Raises:
        CaseRejected: where there are too few.
    """
    images = pool_of(data)[:CALIBRATION_IMAGES]
    if len(images) < LEAST_CALIBRATION:
        reason = f"amp int8 requested: it is calibrated by at least {LEAST_CALIBRATION} training images, and the"
        raise CaseRejected("unsupported", f"{reason} dataset has {len(images)}: name a larger one by --data.", ("amp",))
    return images


def calibration_data(folder: Path, data: str) -> str:
    """Write a data yaml whose validation images calibrate int8; return its path."""
    shape = shape_of(data)
    place = folder / "calibration"
    (place / "images").mkdir(parents=True)
    for number, image in enumerate(calibration_images(data)):
        (place / "images" / f"{number:04d}{image.suffix}").symlink_to(image.resolve())
    content: dict[str, Any] = {
        "path": str(place),
        "train": "images",
        "val": "images",
        "channels": shape["channels"],
        "names": {int(key): str(name) for key, name in dict(shape["names"]).items()},
    }
    if shape.get("kpt_shape"):
        content["kpt_shape"] = shape["kpt_shape"]
    file = place / "data.yaml"
    file.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return str(file)
