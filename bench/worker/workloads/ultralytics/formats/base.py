"""Interface of a runtime of exported models, and the parts that all runtimes share."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ....rejection import CaseRejected

QUANTIZE = {"off": None, "bf16": None, "on": 16, "int8": 8}
"""Ultralytics' argument ``quantize`` of an export, by the precision of a case; None leaves it out."""

TYPES = {"f32": "off", "f16": "on", "bf16": "bf16", "i8": "int8", "u8": "int8"}
"""Precision of a case by the type in which a layer computes."""

SCOPE = ("mode", "device", "amp", "format")
"""Axes of a case that decide whether a format has a precision."""


Packages = tuple[tuple[str, str], ...]
"""Modules, each with the text by which an installer gets it."""


@dataclass
class Reading:
    """Settings that a runtime reads back from a loaded model.

    Attributes:
        amp: precision in which it computes, as a case names it.
        device: ``torch.device`` or name of the device that computes.
        threads: CPU threads of the runtime; None where the runtime does not say it.
        provider: the runtime's own name of what computes.
        why: reason for a precision other than the requested one.
        details: further settings for the record.
    """

    amp: str
    device: Any
    threads: int | None
    provider: str
    why: str = ""
    details: dict[str, Any] = field(default_factory=dict)


class Runtime:
    """A format and the runtime that loads it; a subclass in a file of its own describes one.

    Attributes:
        name: of the format, as Ultralytics spells it.
        title: of the runtime, in messages.
        suffix: end of the name of the exported file or folder.
        packages: modules that run an export, each with what an installer takes.
        export_packages: the same, to make one.
        int8_packages: the same, to make one in int8.
        recorded: distributions whose versions an export depends on.
        extra: extra of this project that installs all of them; empty without one.
        kinds: device kinds that it runs on.
        precisions: values of ``amp`` that it offers.
        one_image: whether it computes the images of a batch one by one.
        on_hardware: whether it has run on real hardware of its kind.
    """

    name = ""
    title = ""
    suffix = ""
    packages: Packages = ()
    export_packages: Packages = ()
    int8_packages: Packages = ()
    recorded: tuple[str, ...] = ()
    extra = ""
    kinds: tuple[str, ...] = ("cpu",)
    precisions: tuple[str, ...] = ("off",)
    one_image = False
    on_hardware = True

    def refuses(self, amp: str, kind: str) -> str:
        """Say why a precision is not offered on a kind of device, as one sentence; empty where it is."""
        return ""

    def export_arguments(self, amp: str) -> dict[str, Any]:
        """Return the arguments of an export besides format, size and batch."""
        return {} if QUANTIZE[amp] is None else {"quantize": QUANTIZE[amp]}

    def identity(self, device: str) -> dict[str, Any]:
        """Return what an export depends on besides model, arguments and packages, such as a card."""
        return {}

    def import_packages(self) -> None:
        """Import the runtime, so that the time that takes is known."""
        for module, _ in self.packages:
            importlib.import_module(module)

    def inspect(self, file: str, threads: int, kind: str, scratch: str) -> dict[str, Any]:
        """Return facts that only a separate load of an exported file shows; call it before the model is loaded."""
        return {}

    @contextlib.contextmanager
    def prepare(self, threads: int, amp: str) -> Iterator[None]:
        """Make the runtime use a number of threads and a precision, for models that are loaded within this context."""
        yield

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read the settings back from Ultralytics' backend of a loaded model.

        Args:
            backend: of Ultralytics.
            facts: result of :meth:`inspect`.
        """
        raise NotImplementedError

    def calls(self, backend: Any) -> tuple[tuple[Any, str], ...]:
        """Return the calls of the runtime that the phase ``forward`` is made of: owners and names of attributes.

        Conversions between torch and the runtime lie outside. The backend's own call is the runtime's where it converts
        nothing.
        """
        return ((backend, "forward"),)

    def mark(self, backend: Any, began: Callable[[], None], ended: Callable[[], None]) -> None:
        """Mark where each call of the runtime begins and ends, on the loaded backend."""
        for owner, name in self.calls(backend):
            setattr(owner, name, MarkedCall(getattr(owner, name), began, ended))

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Return a function that runs the loaded model by the runtime alone, for the check of ``selfcheck``.

        Args:
            backend: of Ultralytics.
            array: input images, as a float32 array of shape (N, C, H, W).

        Call it before :meth:`mark`, so that the function's own calls are not marked.
        """
        raise NotImplementedError

    def why_missing(self, making: bool, amp: str = "off") -> str:
        """Say which packages are missing here and how to install them, as one sentence; empty where none is.

        Args:
            making: whether an export is to be made too.
            amp: precision of the case.
        """
        wanted = dict((*self.packages, *(self.export_packages if making else ())))
        extra = self.extra
        if making and amp == "int8" and self.int8_packages:
            wanted |= dict(self.int8_packages)
            extra = "export-int8" if extra else ""
        missing = [text for module, text in wanted.items() if importlib.util.find_spec(module) is None]
        if not missing:
            return ""
        line = " ".join(f"'{text}'" if set("<>= ") & set(text) else text for text in missing)
        ours = f", or the extra {extra} of yolopace" if extra else ""
        names = ", ".join(module for module in wanted if importlib.util.find_spec(module) is None)
        return f"format {self.name} needs packages that {sys.executable} lacks ({names}): pip install {line}{ours}."


class MarkedCall:
    """A call with marks where it begins and ends; other attributes are those of what is called."""

    def __init__(self, call: Any, began: Callable[[], None], ended: Callable[[], None]) -> None:
        self._call, self._began, self._ended = call, began, ended

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it, and mark begin and end."""
        self._began()
        result = self._call(*arguments, **named)
        self._ended()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


def forbid_installs() -> None:
    """Keep Ultralytics from installing packages in this process, which it does as it loads or exports a model."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["ULTRALYTICS_SKIP_REQUIREMENTS_CHECKS"] = "1"


def check(runtime: Runtime, case: Mapping[str, Any], kind: str, making: bool) -> None:
    """Refuse a case that a format cannot have, before anything is loaded.

    Args:
        runtime: of the format.
        case: its axes by name.
        kind: kind of its device.
        making: whether an export is to be made.
    """
    from ultralytics.nn.autobackend import AutoBackend
    from ultralytics.utils import DEFAULT_CFG_DICT

    base = getattr(AutoBackend, "_BACKEND_MAP", {}).get("onnx")
    if base is None or not hasattr(base, "read_metadata") or "quantize" not in DEFAULT_CFG_DICT:
        reason = f"format {runtime.name} requested: exported models are measured with ultralytics>=8.4.150: upgrade it."
        raise CaseRejected("unsupported", reason, ("mode", "format"))
    if runtime.name not in AutoBackend._BACKEND_MAP:
        reason = f"format {runtime.name} requested: this Ultralytics does not have it: upgrade it."
        raise CaseRejected("unsupported", reason, ("mode", "format"))
    if "+" in case["device"] or kind not in runtime.kinds:
        reason = f"format {runtime.name} requested on {case['device']}: {runtime.title} runs on one device of kind"
        raise CaseRejected(
            "unsupported", f"{reason} {' or '.join(runtime.kinds)} here.", scope=("mode", "device", "format")
        )
    if case["amp"] not in runtime.precisions:
        reason = f"amp {case['amp']} requested: format {runtime.name} offers {', '.join(runtime.precisions)}."
        raise CaseRejected("unsupported", reason, SCOPE)
    if refused := runtime.refuses(case["amp"], kind):
        raise CaseRejected("unsupported", refused, SCOPE)
    if why := runtime.why_missing(making, case["amp"]):
        raise CaseRejected(
            "unsupported", why, ("mode", "amp", "format") if case["amp"] == "int8" else ("mode", "format")
        )


def precision_of(layers: Mapping[str, int], asked: str) -> tuple[str, str]:
    """Return the precision of a model by the types in which its layers compute, and a note on them.

    With ``amp off`` every layer has to compute in float32. Another precision is that of most layers.

    Args:
        layers: number of convolutions and matrix products by type, such as ``{"f32": 57, "i8": 7}``.
        asked: precision of the case.
    """
    count = Counter({TYPES.get(kind, kind): 0 for kind in layers})
    for kind, number in layers.items():
        count[TYPES.get(kind, kind)] += number
    total = sum(count.values())
    if not total:
        return "unknown", "no layer says in which type it computes"
    others = [name for name, number in count.most_common() if number and name != "off"]
    most = count.most_common(1)[0][0]
    amp = (others[0] if others else "off") if asked == "off" else most
    if count[asked] == total:
        return amp, ""
    text = ", ".join(f"{number} in {kind}" for kind, number in sorted(layers.items(), key=lambda item: -item[1]))
    return amp, f"of {total} convolutions and matrix products, {text}"


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute within this context."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def busy_threads(call: Callable[[], Any], seconds: float = 0.5) -> int | None:
    """Return the number of threads of this process that compute while a function is called again and again.

    A thread computes where it takes a tenth of the time of the busiest one, or more. None where the system does not
    say it, as anywhere but on Linux.
    """
    before = _thread_ticks()
    if before is None:
        return None
    end = time.monotonic() + seconds
    calls = 0
    while time.monotonic() < end or calls < 3:
        call()
        calls += 1
    now = _thread_ticks() or {}
    spent = [ticks - before.get(thread, 0) for thread, ticks in now.items()]
    most = max(spent, default=0)
    return sum(ticks * 10 >= most for ticks in spent) if most else None


def _thread_ticks() -> dict[str, int] | None:
    """Return the CPU time of each thread of this process in nanoseconds; None where it cannot be read."""
    spent = {}
    try:
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError, IndexError):  # it has ended
                spent[thread] = int(Path(f"/proc/self/task/{thread}/schedstat").read_text("ascii").split()[0])
    except OSError:
        return None
    return spent or None
