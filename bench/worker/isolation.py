"""Keeps a measurement from reaching beyond its machine, and Ultralytics from touching the user's settings."""

from __future__ import annotations

import hashlib
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
"""Settings of Ultralytics that make a run talk to something; versions differ in which they have."""

KEPT = ("datasets_dir", "weights_dir")
"""Settings of the user that matter: where relative data sets and named weights are looked for."""


RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Variables that say which of several processes this is."""

FOREIGN = (*RANK, "ULTRALYTICS_API_KEY")
"""Variables that would make a case another one: the rank that a launcher or a batch system sets (older Ultralytics,
8.4.0 among them, takes any for a part of distributed training), and the key with which training reports to
Ultralytics' platform."""


def before_import(config: str, network: bool, alone: bool = True) -> None:
    """Set the environment variables that Ultralytics and torch read at their import.

    Args:
        config: folder for Ultralytics' settings, in place of the user's own.
        network: whether the user named weights or a data set that may have to be fetched.
        alone: False for a rank of several, whose number is meant.
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


def user_settings() -> dict[str, Any]:
    """The user's own Ultralytics settings, or nothing; only read."""
    home = Path.home()
    default = home / ("Library/Application Support" if platform.system() == "Darwin" else ".config")
    folder = Path(os.environ.get("YOLOPACE_USER_CONFIG") or default)
    for file in (folder / "Ultralytics" / "settings.json", folder / "settings.json"):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def after_import() -> None:
    """Switch integrations off, keep the user's folders, and spare a look for a font on the network."""
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


def _silence_what_is_loaded() -> None:
    """Some parts look at the settings once, when they are imported, which may have been before they were off."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ultralytics."):
            events, callbacks = (vars(module).get(part) for part in ("events", "callbacks"))
            if events is not None and hasattr(events, "enabled"):
                events.enabled = False
            if name.startswith("ultralytics.utils.callbacks.") and isinstance(callbacks, dict):
                callbacks.clear()


def keep_label_caches(folder: Path) -> None:
    """Let Ultralytics keep what it read of a data set's labels here, in place of a file beside the labels.

    Versions that are compared would read and rewrite each other's, and the user's own would change.
    """
    import ultralytics.data.dataset as dataset
    import ultralytics.data.utils as utils

    load, save = utils.load_dataset_cache_file, utils.save_dataset_cache_file

    def place(path: Any) -> Path:
        return folder / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.cache"

    def load_ours(path: Any) -> Any:
        return load(place(path))

    def save_ours(prefix: str, path: Any, x: Any, version: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save(prefix, place(path), x, version)

    for module in (utils, dataset):
        module.load_dataset_cache_file, module.save_dataset_cache_file = load_ours, save_ours


def _provide_font(folder: Path) -> None:
    """Ultralytics fetches a font for plots whenever a data set is read; nothing is plotted, so any font will do."""
    import matplotlib

    source = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        if not (folder / name).exists() and source.exists():
            shutil.copyfile(source, folder / name)
