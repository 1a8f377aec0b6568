"""Keep a measurement off the network, and Ultralytics from changing the user's settings."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

INTEGRATIONS = (
    "sync",
    "clearml",
    "comet",
    "dvc",
    "hub",
    "mlflow",
    "neptune",
    "platform",
    "raytune",
    "tensorboard",
    "wandb",
)
"""Settings of Ultralytics that switch on integrations; versions differ in which they have."""

KEPT = ("datasets_dir", "weights_dir")
"""Settings of the user that are kept: the folders of relative data sets and of named weights."""


RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Environment variables that give the rank of this process."""

FOREIGN = (*RANK, "ULTRALYTICS_API_KEY")
"""Variables that would change a case: the rank that a launcher or a batch system sets, and the key with which training
reports to Ultralytics' platform. Older Ultralytics, 8.4.0 among them, takes any rank for a part of distributed
training."""


def before_import(config: str, network: bool, alone: bool = True) -> None:
    """Set the environment variables that Ultralytics and torch read at their import.

    Args:
        config: folder for Ultralytics' settings, in place of the user's own.
        network: whether the user named weights or a data set that may have to be fetched.
        alone: False for one of several ranks, which keeps the variables of its rank.
    """
    user = os.environ.pop("YOLO_CONFIG_DIR", None)
    if user:
        os.environ["YOLOPACE_USER_CONFIG"] = user
    for name in FOREIGN:
        if alone or name not in RANK:
            os.environ.pop(name, None)
    os.environ["YOLO_CONFIG_DIR"] = config
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "false" if network else "true"
    # Asking torch for its CUDA devices must not initialise the driver: a forked child could not use it any more.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    os.environ["WANDB_MODE"] = "disabled"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(config, "compiled"))


def user_settings() -> dict[str, Any]:
    """Read the user's own Ultralytics settings; empty where there are no such settings."""
    chosen = os.environ.get("YOLOPACE_USER_CONFIG")
    try:
        default = Path.home() / ("Library/Application Support" if platform.system() == "Darwin" else ".config")
    except RuntimeError:  # the system knows no home of this user
        if not chosen:
            return {}
        default = Path()
    folder = Path(chosen or default)
    for file in (folder / "Ultralytics" / "settings.json", folder / "settings.json"):
        try:
            settings = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(settings, dict):
            return settings
    return {}


def after_import() -> None:
    """Switch integrations off, keep the user's folders, and avoid the download of a font."""
    import ultralytics.data.utils
    from ultralytics import settings
    from ultralytics.utils import USER_CONFIG_DIR

    user = user_settings()
    wanted: dict[str, Any] = {name: False for name in INTEGRATIONS if name in settings}
    wanted.update({name: user[name] for name in KEPT if name in user and name in settings})
    changed = {name: value for name, value in wanted.items() if settings[name] != value}
    if changed:
        settings.update(changed)
    ultralytics.data.utils.DATASETS_DIR = Path(settings["datasets_dir"])
    _silence_what_is_loaded()
    _provide_font(Path(USER_CONFIG_DIR))
    keep_label_caches(Path(USER_CONFIG_DIR) / "labels")
    leave_images_alone()


def _silence_what_is_loaded() -> None:
    """Switch off integrations that read the settings only at import, which may have happened before."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ultralytics."):
            events, callbacks = (vars(module).get(part) for part in ("events", "callbacks"))
            if events is not None and hasattr(events, "enabled"):
                events.enabled = False
            if name.startswith("ultralytics.utils.callbacks.") and isinstance(callbacks, dict):
                callbacks.clear()


_label_task = [""]


def set_label_task(task: str) -> None:
    """Separate the label caches of a task from those of detection, since the same labels give a task other rows."""
    _label_task[0] = "" if task == "detect" else f" {task}"


def keep_label_caches(folder: Path) -> None:
    """Move Ultralytics' label cache into our cache folder, away from the labels.

    Otherwise compared versions would read and rewrite each other's cache, and change the user's own. Tasks would read
    each other's: older versions do not note for which task they read the labels.
    """
    import ultralytics.data.dataset as dataset
    import ultralytics.data.utils as utils

    load, save = utils.load_dataset_cache_file, utils.save_dataset_cache_file

    def place(path: Any) -> Path:
        return folder / f"{hashlib.sha256(f'{path}{_label_task[0]}'.encode()).hexdigest()[:16]}.cache"

    def load_ours(path: Any) -> Any:
        try:
            return load(place(path))
        except Exception as error:  # missing, or only a part of it was written: Ultralytics then reads the labels
            raise FileNotFoundError(f"{place(path)} cannot be read: {error}") from error

    def save_ours(prefix: str, path: Any, x: Any, version: str) -> None:
        with contextlib.suppress(OSError):  # the cache only saves time later, so a full disk must not fail a case
            folder.mkdir(parents=True, exist_ok=True)
            part = place(path).with_suffix(f".{os.getpid()}.cache")
            try:
                save(prefix, part, x, version)
                os.replace(part, place(path))  # another run never sees a part of it
            finally:
                part.unlink(missing_ok=True)

    for module in (utils, dataset):
        module.load_dataset_cache_file, module.save_dataset_cache_file = load_ours, save_ours


def leave_images_alone() -> None:
    """Keep Ultralytics from rewriting a JPEG that has bytes after its end, or lacks its end.

    It still decodes and encodes such a file, in memory: a file that cannot be decoded is left out of the data set.
    Versions before 8.4.156 save it through Pillow at once, later ones through a separate function.
    """
    import ultralytics.data.utils as utils

    exif_transpose = utils.ImageOps.exif_transpose

    class Unsaved:
        def __init__(self, image: Any) -> None:
            self._image = image

        def save(self, file: Any, *arguments: Any, **options: Any) -> None:
            self._image.save(io.BytesIO(), *arguments, **options)

    class InMemory:
        @staticmethod
        def exif_transpose(image: Any) -> Any:
            return Unsaved(exif_transpose(image))

    if hasattr(utils, "_replace_image"):
        utils._replace_image = lambda file, write: write(io.BytesIO())
    else:
        utils.ImageOps = InMemory


def _provide_font(folder: Path) -> None:
    """Replace the download of a plot font, which Ultralytics starts with every data set; nothing is plotted."""
    import matplotlib

    source = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        if not (folder / name).exists() and source.exists():
            with contextlib.suppress(OSError):  # a full disk must not fail a case
                shutil.copyfile(source, folder / name)
