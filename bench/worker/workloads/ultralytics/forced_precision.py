"""Forced mixed precision: autocast within Ultralytics' own training loop, where torch has it and Ultralytics does not.

Ultralytics' loop enters its function ``autocast`` around each forward pass and scales the loss by ``trainer.scaler``.
Both are replaced. ``trainer.amp`` stays off, so that validation runs as Ultralytics runs it.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...rejection import CaseRejected
from ...text import one_line
from ...timing.session import Session
from ..cpu_parity import close
from . import first_losses
from .expected_settings import NO_AMP

DTYPES = {"forced-bf16": "bfloat16", "forced-fp16": "float16"}
"""Dtype of autocast, by the ``amp`` of a case."""

IMAGES = 8
"""Images of the compared step: with two, the assignment of boxes to predictions flips and moves the losses more."""

LOSS_TOLERANCE = 0.06
"""Maximum relative difference of a loss item from float32: about twice the largest of 135 steps, 3.1 %, with random
weights of five models, eight seeds and 64 to 320 px on a CPU."""

GRADIENT_FACTOR = 2.0
"""Maximum factor between the norms of gradients and those in float32, as the median over parameters. Of the same steps,
the largest was 1.33 in bfloat16 and 1.07 in float16. The norm of all gradients together is no measure: a few parameters
decide it, and it was 2.9 times as large in another step. Nor is their direction, which bfloat16 changes from the first
step on, since other predictions are assigned to boxes."""

SCALE = 128.0
"""First loss scale in float16. From torch's own, 65536, the first nine or so optimizer steps of 64 images overflow and
are skipped, which a short warm-up does not outlast."""

SCOPE = ("mode", "device", "amp")


class ForcedPrecision:
    """Autocast to one dtype on one kind of device.

    Attributes:
        amp: value of the axis.
        layers: number of convolutions and linear layers by the dtype of their last seen output.
        within: dtype of autocast within the loop, when it prepared its last batch; empty before the first one.
    """

    def __init__(self, amp: str, kind: str) -> None:
        import torch

        self.amp, self.kind, self.name = amp, kind, DTYPES[amp]
        self.dtype = getattr(torch, self.name)
        self.layers: Counter[str] = Counter()
        self.within = ""
        self._handles: list[Any] = []

    def autocast(self, *_: Any, **__: Any) -> Any:
        """Return the context that the loop enters in place of Ultralytics' own."""
        import torch

        return torch.autocast(self.kind, dtype=self.dtype)

    def scaler(self) -> Any:
        """Return a loss scaler of this kind of device, which only float16 needs."""
        import torch

        return torch.amp.GradScaler(self.kind, init_scale=SCALE, enabled=self.name == "float16")

    def watch(self, model: Any) -> None:
        """Register hooks that count the layers of a model by the dtype of their outputs, until :meth:`unwatch`."""
        import torch

        self.layers.clear()

        def passed(layer: Any, arguments: Any, output: Any) -> None:  # returns None: the output stays as it is
            self.layers[str(output.dtype).removeprefix("torch.")] += 1

        layers = (m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)))
        self._handles = [layer.register_forward_hook(passed) for layer in layers]

    def unwatch(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    @property
    def watches(self) -> bool:
        """Whether hooks are registered."""
        return bool(self._handles)

    @contextlib.contextmanager
    def around(self, model: Any) -> Iterator[None]:
        """Run a forward pass of a model under autocast, and count its layers."""
        self.watch(model)
        try:
            with self.autocast():
                yield
        finally:
            self.unwatch()

    def batch_prepared(self) -> None:
        """Read the state of autocast within the loop."""
        import torch

        dtype = torch.get_autocast_dtype(self.kind) if torch.is_autocast_enabled(self.kind) else torch.float32
        self.within = str(dtype).removeprefix("torch.")

    @property
    def effective(self) -> str:
        """The value of ``amp`` that runs: of the layers' outputs, and of the loop's own autocast."""
        acts = self.layers[self.name] > sum(self.layers.values()) / 2 and self.within in ("", self.name)
        return self.amp if acts else "off"


def of(session: Session) -> ForcedPrecision | None:
    """Return the forced precision of a case; None for a case that forces none.

    Raises:
        CaseRejected: with status ``unsupported`` where it is not offered or torch cannot do it.
    """
    amp, device = session.case["amp"], session.device
    if amp not in DTYPES:
        return None

    def unsupported(why: str, scope: tuple[str, ...] = SCOPE) -> CaseRejected:
        return CaseRejected("unsupported", f"amp {amp} requested: {why}.", scope)

    if device.kind not in NO_AMP["train", "on"]:
        raise unsupported(f"Ultralytics offers mixed precision on {device.kind} itself; use amp on or bf16")
    if session.process_group.size > 1:
        raise unsupported("a forced precision is checked on one device; name one")
    if session.overrides.get("compile"):
        raise unsupported("it is read from hooks on layers, which a compiled model must not have", (*SCOPE, "compile"))
    forced = ForcedPrecision(amp, device.kind)
    if why := why_torch_lacks(forced):
        raise unsupported(f"this torch has no autocast to {forced.name} on {device.kind}: {why}")
    return forced


def why_torch_lacks(forced: ForcedPrecision) -> str:
    """Return why this torch has no such autocast, by a product of two matrices; empty where it works."""
    import torch

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with forced.autocast():
                ones = torch.ones(2, 2, device=forced.kind)
                dtype = (ones @ ones).dtype
            forced.scaler()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        return one_line(str(error), 160).rstrip(".")
    if dtype is forced.dtype:
        return ""
    message = one_line(str(caught[0].message), 160).rstrip(".") if caught else ""
    return message or f"a product of matrices stays {str(dtype).removeprefix('torch.')}"


@contextlib.contextmanager
def in_the_loop(forced: ForcedPrecision | None) -> Iterator[None]:
    """Replace the autocast of Ultralytics' loop for as long as it trains; with None, do nothing."""
    from ultralytics.engine import trainer as engine

    own = engine.autocast
    if forced is not None:
        engine.autocast = forced.autocast
    try:
        yield
    finally:
        engine.autocast = own


def check(forced: ForcedPrecision, trainer: Any, checks: dict[str, Any]) -> None:
    """Compare losses and gradients of one step with those in float32, on the same device.

    Args:
        forced: the forced precision.
        trainer: a trainer whose set-up is over; its model stays unchanged.
        checks: checks of the session; gets ``forced_agreement``.

    Raises:
        CaseRejected: with status ``invalid`` where they differ by more than the band, or autocast changes no layer.
    """
    batch = first_losses.first_batch(trainer, IMAGES)
    plain, plain_norms = first_losses.one_step(trainer, trainer.device, batch)
    scale = SCALE if forced.name == "float16" else 1.0
    here, norms = first_losses.one_step(trainer, trainer.device, batch, forced.around, scale)
    known = plain_norms > 0
    ratio = float((norms[known] / plain_norms[known]).nanmedian()) if bool(norms.isfinite().all()) else math.nan
    checks["forced_agreement"] = {
        "forced": {name: float(f"{value:.6g}") for name, value in here.items()},
        "fp32": {name: float(f"{value:.6g}") for name, value in plain.items()},
        "gradient_ratio": float(f"{ratio:.4g}"),
        "layers": dict(forced.layers),
    }
    require_layers(forced)
    differing = [
        f"{name} is {here[name]:.5g} and in float32 {plain[name]:.5g}"
        for name in plain
        if not close(here[name], plain[name], LOSS_TOLERANCE)
    ]
    if not 1 / GRADIENT_FACTOR <= ratio <= GRADIENT_FACTOR:
        differing.append(f"norms of gradients are {ratio:.3g} times those in float32")
    if differing:
        raise CaseRejected("invalid", f"Training in {forced.name} does not agree with float32: {', '.join(differing)}.")


def require_layers(forced: ForcedPrecision) -> None:
    """Raise :class:`CaseRejected` with status ``invalid`` where the layers that were watched are not of its dtype."""
    if forced.effective != forced.amp:
        dtypes = ", ".join(f"{count} of {name}" for name, count in forced.layers.items()) or "none"
        raise CaseRejected("invalid", f"amp {forced.amp} does not act: outputs of layers are {dtypes}.")
