"""Inspect a data set of the user by the rules of the measured Ultralytics, without changing it.

Ultralytics fetches the address under ``download:`` of a data yaml, or runs the script there, and rewrites a damaged
JPEG. This module does none of that. Training and prediction get a copy of the yaml in this suite's own cache, with
absolute paths and without ``download:``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from ...input_errors import describe_error
from ...rejection import CaseRejected
from ...text import clean
from ..made_files import discard, into_place, unwritable
from . import isolation, label_errors
from .tasks import DETECT, TASKS, Task

SCHEME = 2
"""Version of :func:`fingerprint`; raise it with every change there, so that old fingerprints are not compared with new
ones. Scheme 1 covered only the names and sizes of the training images."""

SMALL = 2**14
"""Maximum bytes of an image whose content is in the fingerprint; of a larger image, only size and name are."""

MOST = 1_000_000
"""Maximum number of classes or channels in a data yaml: Ultralytics makes a name for every class at once."""

NO_SETTINGS = "it holds no settings: a data yaml has 'train:', 'val:' and 'names:'"

LISTING = "images.json"
"""File next to a copied yaml that lists the training images that Ultralytics uses, in its order."""

LEFT_OUT = "left_out.txt"
"""File next to a copied yaml with a line for every training image that Ultralytics leaves out."""

NOT_MEANT = ("path", "train", "val", "test", "minival", "yaml_file", "download")
"""Keys of a data yaml that give the location of a set, not its content."""


class Split(NamedTuple):
    """Images of one split.

    Attributes:
        listed: all images that Ultralytics finds, by its own rules and in its order.
        used: images that Ultralytics keeps after its check of images and labels.
    """

    listed: list[str]
    used: list[str]


def inspect(wanted: dict[str, Any]) -> dict[str, Any]:
    """Inspect a data set of the user.

    Args:
        wanted: ``yaml`` (absolute path of the user's file, or the name of a data set that Ultralytics brings and may
            fetch), ``root`` (folder of the cache) and ``task`` (by default ``detect``).

    Returns:
        - ``yaml``: copy for Ultralytics.
        - ``fingerprint`` and its ``scheme``.
        - ``images``: number of images that are used for training.
        - ``listed``: number of training images that Ultralytics finds.
        - ``left_out``: number of images that it leaves out, by reason.
        - ``left_out_first``: a sentence on the first image that is left out, or empty.
        - ``left_out_file``: a file with a line for each image that is left out, or empty.
        - ``no_training``: reason why the set cannot be trained on, or empty.
        - ``newest``: time of the last change of any of its files, in seconds since the epoch.

    Raises:
        CaseRejected: with status ``unsupported`` where the data set cannot be used at all, or not in this task; the
            scope of the latter is the model.
    """
    yaml = wanted["yaml"]
    root = Path(wanted["root"])
    task = next((task for task in TASKS if task.name == wanted.get("task")), DETECT)
    if os.path.isdir(yaml):
        sentence = f"it is a folder, and {task.noun} needs a data yaml: name the .yaml file of the dataset"
        raise refused(yaml, sentence, ("model",))
    isolation.set_label_task(task.name)
    data = resolve(yaml, root)
    if task.name == "pose" and (wrong := keypoints_error(data)):
        raise refused(yaml, wrong, ("model",))
    train = split_of(data["train"], data, task.name)
    if not train.listed:
        sentence = f"its 'train:' ({format_source(data['train'])}) has no images that Ultralytics takes"
        raise refused(yaml, f"{sentence}; name a folder of images, or a UTF-8 text file with a path per line")
    missing = list((Counter(train.listed) - Counter(train.used)).elements())
    reasons = [label_errors.why_left_out(image, label_of(image), data, task) for image in missing]
    place = Path(str(data["path"]))
    sentences = [f"{relative(image, place)}: {reason.sentence}" for image, reason in zip(missing, reasons)]
    left_out = dict(Counter(reason.kind for reason in reasons).most_common())
    if not train.used:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in left_out.items())
        raise refused(
            yaml,
            f"none of its {len(train.listed)} training images can be used: {kinds}. The first is {sentences[0]}",
            () if task is DETECT else ("model",),
        )
    copied = {key: value for key, value in data.items() if key not in ("yaml_file", "download")}
    if data.get("missing_val"):  # prediction needs none
        copied["val"] = None
    listing = json.dumps({"listed": len(train.listed), "used": train.used, "left_out": sentences})
    validation, no_validation = validation_of(data, task.name)
    no_training = why_no_training(yaml, train, no_validation)
    digest, newest = fingerprint(data, {"train": train.listed, "val": validation.listed})
    copy = copy_of({**copied, "path": str(place)}, listing, root)
    return {
        "yaml": str(copy),
        "fingerprint": digest,
        "scheme": SCHEME,
        "images": len(train.used),
        "listed": len(train.listed),
        "left_out": left_out,
        "left_out_first": sentences[0] if sentences else "",
        "left_out_file": str(copy.with_name(LEFT_OUT)) if sentences else "",
        "no_training": no_training or wrong_labels(yaml, data, [*train.used, *validation.used], task),
        "newest": newest,
    }


def refused(yaml: str, sentence: str, scope: tuple[str, ...] = ()) -> CaseRejected:
    """Return the rejection of a data set that cannot be used; with a scope, only by cases of the same values there."""
    return CaseRejected("unsupported", f"data {yaml}: {sentence.rstrip('.')}.", scope)


def keypoints_error(data: dict[str, Any]) -> str:
    """Say what is wrong with the keypoints of a data yaml; empty where nothing is."""
    shape, mirrored = data.get("kpt_shape"), data.get("flip_idx")
    example = "such as 'kpt_shape: [17, 3]' for 17 points of x, y and visibility"
    if not shape:
        return f"it has no 'kpt_shape:', which a pose model needs: write it, {example}"
    if not isinstance(shape, list) or [type(part) for part in shape] != [int, int] or shape[1] not in (2, 3):
        return f"its 'kpt_shape:' is {shape!r}: write the numbers of points and of values per point, {example}"
    if mirrored and (not isinstance(mirrored, list) or len(mirrored) != shape[0]):
        return f"its 'flip_idx:' does not have {shape[0]} numbers, one for each point of 'kpt_shape:'"
    return ""


def wrong_labels(yaml: str, data: dict[str, Any], images: list[str], task: Task) -> str:
    """Return the reason why the labels of a set with usable images are not those of a task; empty where they are.

    Ultralytics trains a model of oriented boxes on polygons, and drops all polygons where one image has boxes.
    """
    if task.name not in ("segment", "obb"):
        return ""
    points, dimensions = data.get("kpt_shape") or (0, 0)
    keypoints = 5 + points * dimensions if points else 0
    for image in dict.fromkeys(images):
        if (row := label_errors.row_unlike(label_of(image), task.name, keypoints)) is not None:
            place = relative(label_of(image), Path(str(data["path"])))
            sentence = f"{place}, line {row.number}, has {row.fields} fields; {task.noun} needs {task.needs}"
            return refused(yaml, sentence).reason
    return ""


def format_source(source: Any) -> str:
    """Return one path, or several joined by commas."""
    return ", ".join(map(str, source)) if isinstance(source, list) else str(source)


def relative(file: str, root: Path) -> str:
    """Return a path relative to the folder of the data set; unchanged where it lies elsewhere."""
    return os.path.relpath(file, root) if Path(file).is_relative_to(root) else file


def parts_of(source: Any) -> list[str]:
    """Return the paths of a split as a list."""
    return [str(part) for part in (source if isinstance(source, list) else [source] if source else [])]


def resolve(yaml: str, root: Path) -> dict[str, Any]:
    """Resolve a data yaml as Ultralytics does: names, channels, absolute paths of the splits.

    Args:
        yaml: see :func:`inspect`.
        root: folder of the cache.

    Raises:
        CaseRejected: with one sentence on the error in the yaml, or on a missing part and how to get it.
    """
    from ultralytics.data.utils import check_det_dataset

    if not os.path.isabs(yaml):  # a data set of Ultralytics, which may fetch it because the user named it
        try:
            return dict(check_det_dataset(yaml))
        except Exception as error:
            what = describe_error(error)
            sentence = f"Ultralytics could not fetch it ({what}): fetch it yourself, and name its yaml by --data"
            raise refused(yaml, sentence) from error
    data = read_yaml(yaml)
    download = data.pop("download", None)
    if "val" not in data and "validation" in data:
        data["val"] = data.pop("validation")
    if data.get("nc") is not None:
        data["nc"] = int(float(data["nc"]))  # older versions do not take 2.0
    # Ultralytics also resolves a split named minival, the only one that may be missing without an error.
    asked = {**data, "path": str(data.get("path") or Path(yaml).parent), "val": None, "minival": data.get("val")}
    with contextlib.ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".new-", dir=root))
            copy = Path(folder) / "data.yaml"
            write_yaml(copy, asked)
        except OSError as error:
            raise unwritable("a copy of the data yaml", str(root), error) from error
        try:
            resolved = dict(check_det_dataset(str(copy), autodownload=False))
        except Exception as error:
            raise refused(yaml, describe_error(error).replace(str(copy), "its")) from error
    resolved["val"], resolved["yaml_file"] = resolved.pop("minival"), yaml
    for part in parts_of(resolved["train"]):
        if not os.path.exists(part):
            raise refused(yaml, missing_path("train", part, data, download))
    if any(not os.path.exists(part) for part in parts_of(resolved["val"])):
        resolved["missing_val"] = missing_path(
            "val", next(part for part in parts_of(resolved["val"]) if not os.path.exists(part)), data, download
        )
    return resolved


def read_yaml(yaml: str) -> dict[str, Any]:
    """Read the user's data yaml.

    Raises:
        CaseRejected: where the file cannot be read, or is no data yaml.
    """
    from ultralytics.utils import YAML

    if not yaml.lower().endswith((".yaml", ".yml")):
        raise refused(yaml, "it is no data yaml: unpack an archive yourself, and name the .yaml file of the dataset")
    try:
        with open(yaml, "rb"):
            pass
        data = YAML.load(yaml)
    except OSError as error:
        raise refused(yaml, f"it cannot be read ({error.strerror})") from error
    except Exception as error:
        if isinstance(error, AttributeError) or "not a valid YAML mapping" in str(error):  # a list or a text
            raise refused(yaml, NO_SETTINGS) from error
        raise refused(yaml, f"it is no YAML: {yaml_problem(error)}") from error
    if (wrong := what_is_wrong(data)) is not None:
        raise refused(yaml, wrong)
    return dict(data)


def yaml_problem(error: BaseException) -> str:
    """Return line and error of a file that is no YAML; Ultralytics wraps the parser's error in its own."""
    cause: BaseException | None = error
    while cause is not None:
        if (mark := getattr(cause, "problem_mark", None)) is not None:
            return f"line {mark.line + 1}: {getattr(cause, 'problem', None) or describe_error(cause)}"
        cause = cause.__cause__ or cause.__context__
    return describe_error(error)


def what_is_wrong(data: Any) -> str | None:
    """Return a sentence on the first error in a data yaml; None without an error."""
    if not isinstance(data, dict) or not data:
        return NO_SETTINGS
    if "backbone" in data and "head" in data:
        return "it describes a model: give it with --model"
    for key in ("train", "val", "test"):
        value = data.get(key)
        if value is not None and not isinstance(value, str) and not _are_texts(value):
            return f"its '{key}:' is {value!r}: write the path of a folder or a text file, or a list of them"
    if not data.get("train"):
        return "it has no 'train:': write the folder of the training images there"
    names, count, channels = data.get("names"), data.get("nc"), data.get("channels", 3)
    if names is None and count is None:
        return "it has neither 'names:' nor 'nc:': write the names of the classes"
    if names is not None and not isinstance(names, (list, dict)):
        return f"its 'names:' is {names!r}: write a list of names, or 'number: name' lines"
    if names is not None and not names:
        return "its 'names:' is empty: write the names of the classes"
    if isinstance(names, dict) and (other := next((k for k in names if not str(k).isdecimal()), None)) is not None:
        return f"its 'names:' has the key {other!r}: write 'number: name' lines, from 0 on"
    if isinstance(names, dict) and sorted(map(int, names)) != list(range(len(names))):
        return f"its 'names:' has the numbers {', '.join(map(str, names))[:60]!r}: number the classes from 0 on"
    if count is not None and not _is_count(count):
        return f"its 'nc:' is {count!r}: write the number of classes, from 1 to {MOST:,}"
    if names is not None and count is not None and len(names) != float(count):
        return f"its 'names:' has {len(names)} names and its 'nc:' is {count}: they have to agree"
    if not isinstance(channels, int) or isinstance(channels, bool) or not 1 <= channels <= MOST:
        return f"its 'channels:' is {channels!r}: write how many channels an image has, such as 3"
    return None


def _is_count(value: Any) -> bool:
    """Whether a value is a whole number from 1, as a number or as a text such as 2.0, which newer versions take."""
    try:
        return not isinstance(value, bool) and 1 <= float(value) <= MOST and float(value) == int(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def missing_path(key: str, path: str, data: dict[str, Any], download: Any) -> str:
    """Return a sentence on a path that does not exist, and on how to get its content."""
    from ultralytics.data.utils import DATASETS_DIR

    text = f"its '{key}:' names {path!r}, which does not exist"
    if isinstance(download, str) and download.strip():
        lines = download.strip().splitlines()
        what = lines[0] if len(lines) == 1 else f"a script of {len(lines)} lines"
        return f"{text}; its 'download:' ({what}) is not run here, and nothing is fetched: do that yourself first"
    if data.get("path") and not os.path.isabs(str(data["path"])):
        return (
            f"{text}: its 'path: {data['path']}' is looked for in the current folder, then in {DATASETS_DIR}; "
            "write an absolute path there"
        )
    return f"{text}: correct '{key}:', or create the folder"


def split_of(source: Any, data: dict[str, Any], task: str = "detect") -> Split:
    """Return the images of a split as Ultralytics' own data set class lists and keeps them; empty where it finds none.

    Ultralytics caches the labels that it reads here, and training reads them from the cache.
    """
    from ultralytics.data.dataset import YOLODataset

    class Listing(YOLODataset):  # type: ignore[misc]
        im_files: list[str]

        def get_labels(self) -> Any:
            listed.extend(self.im_files)
            try:
                return super().get_labels()
            except RuntimeError:  # not one image is left
                self.im_files = []
                return []

        def verify_labels(self, *arguments: Any) -> None:
            """Accept labels of another task, which :func:`wrong_labels` explains."""

    listed: list[str] = []
    try:
        dataset = Listing(img_path=source, data=data, task=task, augment=False)
    except FileNotFoundError:  # there are no images, or the list of images is no text file
        return Split([], [])
    except UnicodeEncodeError as error:  # only in older versions
        name = ascii(next((image for image in listed if not image.isprintable()), format_source(source)))
        sentence = f"the name of image {name} is no UTF-8 text, and this Ultralytics cannot use it: rename the file"
        raise refused(str(data.get("yaml_file") or ""), sentence) from error
    return Split(listed, [str(image) for image in dataset.im_files])


def validation_of(data: dict[str, Any], task: str = "detect") -> tuple[Split, str]:
    """Return the validation split, and the reason why training cannot be set up with it (or an empty string)."""
    if data.get("missing_val"):
        return Split([], []), str(data["missing_val"])
    if not data.get("val"):
        return Split([], []), "it has no 'val:': write a folder of validation images there; that of 'train:' will do"
    split = split_of(data["val"], data, task)
    if not split.used:
        return split, f"its 'val:' ({format_source(data['val'])}) has no images that Ultralytics can use"
    return split, ""


def why_no_training(yaml: str, train: Split, no_validation: str) -> str:
    """Return the reason why a set with readable images cannot be trained on; empty where it can."""
    labels = [label_of(image) for image in train.used]
    if not any(os.path.isfile(label) and os.path.getsize(label) for label in labels):
        sentence = f"none of its {len(train.used)} training images has a box: label files are missing or empty"
        return refused(yaml, f"{sentence}; add them, the first as {labels[0]!r}").reason
    if no_validation:
        return refused(yaml, no_validation).reason
    array = next((a for image in train.used if os.path.exists(a := str(Path(image).with_suffix(".npy")))), None)
    if array:
        sentence = f"Ultralytics reads {array!r} in place of the image of that name, and may rewrite it"
        return refused(yaml, f"{sentence}: move .npy files elsewhere").reason
    return ""


def label_of(image: str) -> str:
    """Return the label file of an image, by Ultralytics' rule."""
    from ultralytics.data.utils import img2label_paths

    return str(img2label_paths([image])[0])


def fingerprint(data: dict[str, Any], splits: dict[str, list[str]]) -> tuple[str, float]:
    """Return twelve hexadecimal digits that identify a data set wherever it lies, and the time of its last change.

    The digits are a hash over the meaning of the yaml, and over the path in the set, the size and the content of every
    image and label file. The content of an image of more than :data:`SMALL` bytes is left out.
    """
    root = Path(str(data["path"]))
    meaning = {key: value for key, value in data.items() if key not in (*NOT_MEANT, "missing_val")}
    digest = hashlib.sha256(as_text([SCHEME, meaning]).encode("utf-8", "surrogatepass"))
    newest = 0.0
    for name, images in splits.items():
        digest.update(f"\n{name}\n".encode())
        for image in images:
            for file, limit in ((image, SMALL), (label_of(image), None)):
                size, changed, content = _read(file, limit)
                newest = max(newest, changed)
                digest.update(f"{os.fsencode(relative(file, root))!r} {size} ".encode())
                digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:12], newest


def as_text(value: Any) -> str:
    """Return the content of a yaml as one text, the same for the same content.

    The text is JSON or, where JSON cannot express the content (keys of several types, circular references), ``repr``.
    """
    try:
        return json.dumps(value, sort_keys=True, default=lambda other: str(_sorted(other)))
    except (TypeError, ValueError):
        return repr(value)


def _sorted(value: Any) -> Any:
    """Return a set as a list in an order that is the same in every process; any other value unchanged."""
    return sorted(value, key=str) if isinstance(value, (set, frozenset)) else value


def _read(file: str, limit: int | None) -> tuple[int, float, bytes]:
    """Return size in bytes (-1 for a missing file), time of last change, and content (empty above ``limit`` bytes)."""
    try:
        facts = os.stat(file)
        if limit is not None and facts.st_size > limit:
            return facts.st_size, facts.st_mtime, b""
        with open(file, "rb") as opened:
            return facts.st_size, facts.st_mtime, opened.read()
    except OSError:
        return -1, 0.0, b""


def write_yaml(file: Path, data: dict[str, Any]) -> None:
    """Write a data yaml."""
    from ultralytics.utils import YAML

    YAML.save(file=file, data=data)


def copy_of(data: dict[str, Any], listing: str, root: Path) -> Path:
    """Return the copy of a yaml in the cache, next to :data:`LISTING`; make the copy if it is missing."""
    content = (as_text(data) + listing).encode("utf-8", "surrogatepass")
    target = root / f"user-{hashlib.sha256(content).hexdigest()[:12]}"

    texts = {key: str(value) if isinstance(value, Path) else value for key, value in data.items()}
    texts.pop("missing_val", None)

    def make(folder: Path) -> None:
        (folder / LISTING).write_text(listing, encoding="ascii")
        (folder / LEFT_OUT).write_text(lines_of(listing), encoding="utf-8")
        write_yaml(folder / "data.yaml", texts)

    if not _is_intact(target, listing, texts):
        try:
            discard(target)
            into_place(target, "data.yaml", make)
        except OSError as error:
            raise unwritable("the list of a dataset's images", str(root), error) from error
    return target / "data.yaml"


def lines_of(listing: str) -> str:
    """Return a line for every image that is left out."""
    return "".join(f"{clean(sentence)}\n" for sentence in json.loads(listing)["left_out"])


def _is_intact(target: Path, listing: str, data: dict[str, Any]) -> bool:
    """Whether a copy exists and is complete; a full disk may have cut it off."""
    from ultralytics.utils import YAML

    try:
        texts = {LISTING: listing, LEFT_OUT: lines_of(listing)}
        whole = all((target / name).read_text(encoding="utf-8") == text for name, text in texts.items())
        return whole and bool(YAML.load(target / "data.yaml") == data)
    except Exception:
        return False
