"""Find and build the model of a case, for training and prediction; explain a model that cannot be used."""

from __future__ import annotations

import contextlib
import difflib
import filecmp
import functools
import os
import pickle
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ... import rejection
from ...input_errors import describe_error
from ...protocol import RequestedAxis
from ...rejection import CaseRejected
from ...text import one_line
from .. import random_weights
from ..base import own_name
from . import isolation, tasks
from .model_names import family, is_known, size_read, sizes_in, sizes_of, why_unknown

LETTER_AT_END = re.compile(r"\d([nslmx])(?![a-zA-Z])")
"""Pattern of a size letter as a person reads it in the name of a file."""


def unsupported(name: str, what: str) -> CaseRejected:
    """Return the rejection of a model, which holds for all its cases."""
    return CaseRejected("unsupported", one_line(f"model {name}: {what}."), scope=("model",))


class Model(NamedTuple):
    """A model that can be measured.

    Attributes:
        file: file that Ultralytics is given.
        task: its task.
        head: name of its last layer.
    """

    file: str
    task: tasks.Task
    head: str

    @property
    def may_be_zero(self) -> Collection[str]:
        """Loss items that stay 0 in training that works."""
        return self.task.may_be_zero.get(self.head, frozenset())


def find_model(name: str, mode: str = "", data: str = "") -> Model:
    """Find the model of a name: ``yolov8n`` means its yaml file, with random weights; a file is used as it is.

    Args:
        name: name of the model in the case.
        mode: mode of the case.
        data: a data yaml whose images a checkpoint has to fit; empty for any images.

    Raises:
        CaseRejected: where there is no such model in that size, or it cannot be measured.
    """
    own = own_name(name)
    file = own if own.endswith((".pt", ".yaml", ".yml")) else f"{own}.yaml"
    if own in tasks.OWN_NETWORKS:
        file = str(tasks.NETWORKS / file)
    if file.endswith(".pt"):
        model = load(name, file)
        head = type(model.model[-1]).__name__
        task = check_head(name, head)
        isolation.set_label_task(task.name)
        if data:
            check_channels(name, channels(model), mode, data)
        return Model(file, task, head)
    if not os.path.exists(file):
        sizes = sizes_of_installed()
        if not is_known(own.removesuffix(".yaml"), sizes):
            raise unsupported(name, f"this Ultralytics does not know it: {why_unknown(own, sizes)}")
    description = described(name, file)
    check_downloads(name, description)
    head = str(description["head"][-1][2]).removeprefix("nn.")
    task = check_head(name, head)
    isolation.set_label_task(task.name)
    return Model(file, task, head)


def model_file(name: str, mode: str = "", data: str = "") -> str:
    """Return the file of a model: see :func:`find_model`."""
    return find_model(name, mode, data).file


def sizes_of_installed() -> dict[str, str]:
    """Return the letters of the sizes of each model that this Ultralytics brings, by its name."""
    import ultralytics

    return sizes_in(Path(ultralytics.__file__).parent / "cfg" / "models")


def installed_version() -> str:
    """Return the version of this Ultralytics."""
    import ultralytics

    return str(ultralytics.__version__)


def check_head(name: str, head: str) -> tasks.Task:
    """Return the task of a model by its last layer; run as a different task, it would have a different speed.

    Raises:
        CaseRejected: for a model of a task that is not in the table, such as YOLO-World and YOLOE.
    """
    task = tasks.task_of(head)
    if task is None:
        measured = "detection, segmentation, pose, oriented boxes, classification and RT-DETR"
        raise unsupported(name, f"its last layer is {head}, and only models of {measured} can be measured")
    return task


def check_downloads(name: str, description: dict[str, Any]) -> None:
    """Refuse a model yaml whose layers fetch weights of torchvision, which nothing here may."""
    for _, _, layer, arguments in [*description["backbone"], *description["head"]]:
        weights = str(arguments[2]) if isinstance(arguments, list) and len(arguments) > 2 else "DEFAULT"
        if layer == "TorchVision" and weights != "None":
            use = " or ".join(f"ultralytics:{network}" for network in tasks.OWN_NETWORKS)
            raise unsupported(
                name, f"its layer TorchVision fetches weights ({weights}): write None there, or use {use}"
            )


# Checkpoints


def load(name: str, file: str) -> Any:
    """Load the model of a checkpoint with Ultralytics, which executes the pickles in it, as it always does.

    Raises:
        CaseRejected: where the checkpoint holds no model that this Ultralytics can load.
    """
    from ultralytics import YOLO

    if "'" in file:  # Ultralytics would find no file, or a different one
        raise unsupported(name, "Ultralytics takes apostrophes out of the path of a .pt: rename the file or its folder")
    try:
        model = YOLO(file).model
        layers = getattr(model, "model", None)
        if layers is None or not hasattr(layers, "__getitem__") or not hasattr(model, "yaml"):
            raise unsupported(name, f"it holds a {type(model).__name__}, which is no model of Ultralytics")
    except CaseRejected:
        raise
    except Exception as error:
        if _is_ours(error):
            raise
        raise unsupported(name, why_not_loaded(file, error)) from error
    return model


def _is_ours(error: BaseException) -> bool:
    """Whether an error has a cause other than the file: out of memory, or a failed download."""
    return rejection.from_exception(error).status == "out_of_memory" or isinstance(error, ConnectionError)


MISSING = re.compile(r"(?:No module named|requires missing Ultralytics module|requires) '([\w.]+)'")
ATTRIBUTE = re.compile(r"Can't get attribute '([\w.]+)' on <module '([\w.]+)'")


def why_not_loaded(file: str, error: BaseException) -> str:
    """Describe what is wrong with a checkpoint, and what to do, without a full stop."""
    text = one_line(str(error))
    missing, attribute = MISSING.search(text), ATTRIBUTE.search(text)
    module = attribute[2] if attribute else missing[1] if missing else None
    if isinstance(error, (ModuleNotFoundError, AttributeError)) and module:
        name = attribute[1] if attribute else ""
        what = f"{name} of {module}" if name else f"the module {module}"
        if module.partition(".")[0] == "ultralytics":
            version = installed_version()
            return f"it needs {what}, which Ultralytics {version} lacks: measure it with the version that saved it"
        if module.rpartition(".")[2] == "__main__":
            return f"it needs {name or what}, a class of the script that saved it: put it in a module"
        if name:
            return f"it needs {what}, which the installed {module} lacks: install the version that it was saved with"
        return f"it needs {what}, which is not installed: install it for the measured Python, or set PYTHONPATH"
    if "yolov5" in text and isinstance(error, TypeError):
        return "it is of the old repository yolov5, which Ultralytics cannot load: use a checkpoint of Ultralytics"
    if "TorchScript archive" in text:
        return "it is exported as TorchScript, which cannot be measured yet: name the .pt that it was made from"
    if content := _content(file):
        return f"it holds {content}, and no whole model: name a best.pt or last.pt as Ultralytics saves it"
    if "not a loadable checkpoint" in text or isinstance(error, (EOFError, RuntimeError, pickle.UnpicklingError)):
        return "it is damaged, or no checkpoint of PyTorch: get the file again"
    return f"Ultralytics cannot load it ({describe_error(error)}): name a best.pt or last.pt as Ultralytics saves it"


def _content(file: str) -> str:
    """Describe what a file holds in place of a model; empty where that is unknown without running its pickles."""
    import pickle

    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, pickle.UnpicklingError):
        return ""
    if isinstance(content, dict) and content and all(isinstance(value, torch.Tensor) for value in content.values()):
        return f"a state dict of {len(content)} tensors"
    if isinstance(content, dict):
        names = ", ".join(map(repr, list(content)[:4]))
        return f"a dictionary of {names}" if names else "an empty dictionary"
    return f"a {type(content).__name__}"


def channels(model: Any) -> int:
    """Return the number of image channels that a network takes."""
    return next((int(p.shape[1]) for p in model.parameters() if p.dim() == 4), 3)


@functools.lru_cache(maxsize=1)
def shape_of(data: str) -> dict[str, Any]:
    """Return the keys of a data set that shape the network: ``channels``, ``nc``, ``names`` and ``kpt_shape``.

    Args:
        data: a data yaml, or a folder of classes.
    """
    from ultralytics.data.utils import check_cls_dataset, check_det_dataset

    dataset = check_cls_dataset(data) if os.path.isdir(data) else check_det_dataset(data)
    shape = {"channels": int(dataset.get("channels", 3)), "nc": int(dataset["nc"]), "names": dataset["names"]}
    return {**shape, **({"kpt_shape": list(dataset["kpt_shape"])} if dataset.get("kpt_shape") else {})}


def check_channels(name: str, own: int, mode: str, data: str) -> None:
    """Refuse a checkpoint that takes images with a different number of channels than the data set has.

    Training would build a different network under the checkpoint's name, and prediction would read different images.

    Raises:
        CaseRejected: ``substituted`` in training, ``unsupported`` in prediction.
    """
    there = shape_of(data)["channels"]
    if own == there:
        return
    what = f"model {name}: it takes images of {own} channels, and the dataset has {there}"
    if mode == "train":
        reason = f"{what}: Ultralytics would train another network, of {there} channels. Set channels: {own}, or name"
        raise CaseRejected(
            "substituted", f"{reason} the architecture in place of the checkpoint.", scope=("mode", "model")
        )
    raise CaseRejected("unsupported", f"{what}: set channels: {own} in the data yaml.", scope=("mode", "model"))


# Descriptions in yaml


def described(name: str, file: str) -> dict[str, Any]:
    """Return the description of a model in its yaml file.

    Raises:
        CaseRejected: where the file describes no model, or not in the size that its name asks for.
    """
    from ultralytics.nn.tasks import yaml_model_load

    check_place(name, file)
    try:
        description = yaml_model_load(file)
    except Exception as error:
        if (mark := getattr(error, "problem_mark", None)) is not None:  # an error of the yaml parser
            what = getattr(error, "problem", None) or describe_error(error)
            raise unsupported(name, f"it cannot be read as yaml: {what} in line {mark.line + 1}") from error
        raise unsupported(
            name, f"it is no model yaml, which has backbone and head ({describe_error(error)})"
        ) from error
    check_description(name, description)
    if os.path.exists(file):
        check_size(name, file)
    return dict(description)


def check_place(name: str, file: str) -> None:
    """Reject a user's yaml file where Ultralytics would read another file in its place.

    It takes a size letter out of the whole path first: of ``net5s/my.yaml`` and ``net5/my.yaml`` it reads the latter.

    Raises:
        CaseRejected: ``substituted``, with the other file.
    """
    other = family(file)
    if other != file and os.path.isfile(file) and os.path.isfile(other) and not filecmp.cmp(file, other, shallow=False):
        reason = f"model {name}: Ultralytics would read {other!r} in its place, since it takes a size letter out of the"
        raise CaseRejected("substituted", f"{reason} path: rename the file or its folder.", scope=("model",))


def check_description(name: str, description: Any) -> None:
    """Refuse a yaml file that describes no model, or names layers that this Ultralytics does not have."""
    if not isinstance(description, dict) or not all(
        isinstance(description.get(part), list) for part in ("backbone", "head")
    ):
        if isinstance(description, dict) and "train" in description:
            raise unsupported(name, "it is a data yaml: give it to --data; a model yaml has backbone and head")
        raise unsupported(name, "it is no model yaml: that has the lists backbone and head")
    if not description["head"] or not description["backbone"]:
        raise unsupported(name, "its backbone or its head has no layers")
    if not isinstance(description.get("nc"), int):
        raise unsupported(name, f"its nc, the number of classes, is {description.get('nc')!r}: write a whole number")
    for index, layer in enumerate([*description["backbone"], *description["head"]]):
        if not isinstance(layer, list) or len(layer) != 4 or not isinstance(layer[2], str):
            form = "[from, number, module, arguments]"
            raise unsupported(name, f"layer {index} is {one_line(str(layer), 100)!r}: a layer is written {form}")
        if not _has_layer(layer[2]):
            version, close = installed_version(), difflib.get_close_matches(layer[2], _layers(), 3)
            hint = f" (close: {', '.join(close)})" if close else ""
            raise unsupported(name, f"layer {index} is {layer[2]!r}, which Ultralytics {version} does not have{hint}")


def _layers() -> list[str]:
    """Return the names of the layers that a model yaml may have."""
    import torch
    from ultralytics.nn import tasks

    return [key for key, value in vars(tasks).items() if isinstance(value, type) and issubclass(value, torch.nn.Module)]


def _has_layer(name: str) -> bool:
    import torch
    import torchvision

    if name.startswith("nn."):
        return hasattr(torch.nn, name[3:])
    if name.startswith("torchvision.ops."):
        return hasattr(torchvision.ops, name[16:])
    return name in _layers()


def check_size(name: str, file: str) -> None:
    """Refuse a user's yaml file whose name asks for a size that would not be built.

    Raises:
        CaseRejected: ``unsupported`` where the file lacks the size, ``substituted`` where Ultralytics would ignore it.
    """
    sizes = sizes_of(Path(file).read_text("utf-8", "replace"))
    if not sizes:
        return
    read = size_read(file)
    if read and read not in sizes:
        raise unsupported(name, f"its name asks for size {read}, and it has the sizes {', '.join(sizes)}: rename it")
    letters = LETTER_AT_END.findall(Path(file).stem)
    if not read and letters and letters[-1] in sizes and letters[-1] != sizes[0]:
        reason = f"model {name}: Ultralytics would build size {sizes[0]}, since it reads a size only right behind the"
        reason += f" number of a name that begins as yolov8 does: rename it, such as to yolov8{letters[-1]}.yaml."
        raise CaseRejected("substituted", reason, scope=("model",))


# Building


@contextlib.contextmanager
def building(name: str, file: str) -> Iterator[None]:
    """Build a network within this context: an error is reported as a fault of the user's model file.

    The large parameters of torchvision's networks repeat a block of random numbers, as in the plain loop.

    Raises:
        CaseRejected: names the layer that cannot be built.
    """
    own = Path(file).stem in tasks.OWN_NETWORKS
    try:
        with random_weights.repeated() if own else contextlib.nullcontext():
            yield
    except Exception as error:
        if isinstance(error, CaseRejected) or _is_ours(error) or not os.path.exists(file):
            raise
        message = f"{type(error).__name__}: {describe_error(error)}".rstrip(".")
        raise unsupported(name, f"{_where(error)} ({message})") from error


def _where(error: BaseException) -> str:
    """Name the layer that could not be built, which Ultralytics shows in the traceback only."""
    trace = error.__traceback__
    while trace is not None:
        variables = trace.tb_frame.f_locals
        if trace.tb_frame.f_code.co_name == "parse_model" and isinstance(variables.get("i"), int):
            layer = getattr(variables.get("m"), "__name__", variables.get("m"))
            return f"layer {variables['i']}, {layer}, cannot be built with its arguments"
        trace = trace.tb_next
    return "its layers do not fit together"


def built(name: str, source: Model, data: str) -> Any:
    """Return the network that predicts: that of a checkpoint, or the one that training would build from a yaml file.

    Args:
        name: name of the model in the case.
        source: result of :func:`find_model`.
        data: a data yaml; its channels and classes shape the network as they do in training.
    """
    file = source.file
    with building(name, file):
        if file.endswith(".pt"):
            return user_model(source).model
        model = user_model(source).model
        shape = shape_of(data)
        keypoints = {"data_kpt_shape": shape["kpt_shape"]} if source.task is tasks.POSE else {}
        own = type(model).__name__ == source.task.model[1]
        classes = read_classes(model.model[-1])
        if not own or keypoints or (channels(model), classes) != (shape["channels"], shape["nc"]):
            args = model.args
            of_data = {"ch": shape["channels"], "nc": shape["nc"], **keypoints}
            model = tasks.load(source.task.model)(file, **of_data, verbose=False)
            model.args, model.task = args, source.task.name
        model.names = shape["names"]
    return model


def user_model(source: Model) -> Any:
    """Return a model as a user of Ultralytics makes it: ``YOLO(file)``, or ``RTDETR(file)``."""
    from ultralytics import RTDETR, YOLO

    return RTDETR(source.file) if source.task is tasks.RTDETR else YOLO(source.file, task=source.task.name)


def read_classes(head: Any) -> int | None:
    """Return the number of classes of a last layer; None for one without classes."""
    linear = getattr(head, "linear", head)
    classes = getattr(head, "nc", None) or getattr(linear, "out_features", None)
    return int(classes) if classes is not None else None


def complete(model: Any, imgsz: int) -> None:
    """Add to a model what older Ultralytics reads of it in prediction, and a model from a yaml file lacks.

    Ultralytics 8.3.230 fails on a pose model without ``kpt_shape`` and on a classification model without
    ``transforms``, which checkpoints have.
    """
    from ultralytics.data.augment import classify_transforms

    head = model.model[-1]
    if hasattr(head, "kpt_shape") and not hasattr(model, "kpt_shape"):
        model.kpt_shape = list(head.kpt_shape)
    if type(head).__name__ in tasks.CLASSIFY.heads and not hasattr(model, "transforms"):
        model.transforms = classify_transforms(imgsz)


LEAST_RTDETR = 128
"""Least image size with 300 anchors at strides 8, 16 and 32, as older versions of Ultralytics need them."""


def check_image_size(error: RuntimeError, task: tasks.Task, imgsz: int) -> None:
    """Explain the error of an RT-DETR model that has fewer anchors in an image than it chooses queries.

    Raises:
        CaseRejected: ``unsupported``; not raised for any other error.
    """
    if task is tasks.RTDETR and "selected index k out of range" in str(error):
        reason = (
            f"imgsz {imgsz} requested: this Ultralytics runs RT-DETR on images of at least {LEAST_RTDETR} px, which"
        )
        raise CaseRejected("unsupported", f"{reason} have the 300 anchors that it chooses.", ("mode", "model", "imgsz"))


def check_arguments(asked: Sequence[RequestedAxis]) -> None:
    """Refuse a further axis whose argument the Ultralytics that is measured does not know.

    Args:
        asked: further axes of the case, with the names of their ``arguments``.
    """
    from ultralytics.utils import DEFAULT_CFG_DICT

    for requested in asked:
        unknown = [name for name in requested.arguments if name not in DEFAULT_CFG_DICT]
        if unknown:
            reason = f"{requested.axis} {requested.text} requested: this Ultralytics has no argument {unknown[0]!r}."
            raise CaseRejected("unsupported", reason, ("mode", requested.axis))
