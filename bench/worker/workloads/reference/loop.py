"""The parts of a plain loop: model, loader, optimizer, precision and loss scaler, made as guides make them."""

from __future__ import annotations

from typing import Any

from ...rejection import CaseRejected
from ...text import one_line
from ..base import own_name
from .loaders import make_loader
from .models import MODELS, Setup, setup_of, why_no_size

DTYPES = {"on": "float16", "bf16": "bfloat16"}
"""Data type of autocast, by the ``amp`` of a case."""


PROBED_LAYERS = 4
"""Layers whose outputs are looked at: all of ViT-B/16 would take a second on a CPU."""


class Loop:
    """Live objects of a plain loop.

    Attributes:
        name: of the model.
        setup: of the model at its size.
        device: ``torch.device``.
        model, loader: of the case; several devices train a wrapped model.
        ranks: number of processes that train together.
        optimizer: None for prediction.
        scaler: loss scaler, which is enabled for fp16 autocast alone.
        batch_shape: shape of the last batch.
        loss_items, tloss: losses of the last step, and means of the epoch, by name.
    """

    def __init__(
        self,
        case: dict[str, Any],
        overrides: dict[str, Any],
        data: str,
        device: str,
        loss_scale: float | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Make everything that the loop needs.

        Args:
            case: its axes.
            overrides: arguments that recipe and further axes fix.
            data: source of the data set.
            device: name for ``torch.device``.
            loss_scale: initial scale of the loss; None for torch's own.
            rank: of this process.
            ranks: number of processes that train together.

        Raises:
            CaseRejected: for a size or a precision that is not to be had, and an optimizer that torch does not have.
        """
        import torch

        self.name, self.ranks = own_name(case["model"]), ranks
        if why := why_no_size(self.name, case["imgsz"]):
            raise CaseRejected("unsupported", why, scope=("model", "imgsz"))
        self.setup = setup_of(self.name, case["imgsz"])
        self.device = torch.device(device)
        self.amp = case["amp"]
        check_float16(self.amp, self.device)
        self.channels_last = bool(overrides.get("channels_last"))
        training = case["mode"] == "train"
        torch.manual_seed(0)
        self.model = build(self.name, case["imgsz"], self.setup).to(self.device)
        if self.amp == "half":
            self.model.half()
        if self.channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.model.train(training)
        workers = int(overrides.get("workers", self.setup.workers))
        self.loader = make_loader(data, self.setup, case, self.device, workers, training, rank, ranks)
        self.optimizer: Any = make_optimizer(self.model, self.setup, overrides.get("optimizer")) if training else None
        init = {"init_scale": loss_scale} if loss_scale else {}
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=training and self.amp == "on", **init)
        self.criterion = torch.nn.CrossEntropyLoss()
        self.batch_shape: tuple[int, ...] = ()
        self.loss_items: dict[str, float] = {}
        self.tloss: dict[str, float] | None = None

    @property
    def network(self) -> Any:
        """The model without the wrapper of several devices."""
        return getattr(self.model, "module", self.model)

    def epoch_began(self) -> None:
        """Shuffle the items of all ranks anew; a loader of a single process does so by itself."""
        if self.ranks > 1:
            self.loader.sampler.set_epoch(self.loader.sampler.epoch + 1)

    def autocast(self) -> Any:
        """Return the context of the forward pass."""
        import torch

        name = DTYPES.get(self.amp)
        dtype = getattr(torch, name) if name else None
        return torch.autocast(self.device.type, dtype=dtype, enabled=name is not None)

    def to_device(self, inputs: Any) -> Any:
        """Copy a batch of inputs to the device, in the precision and layout of the model."""
        import torch

        inputs = inputs.to(self.device, non_blocking=True)
        if self.amp == "half":
            inputs = inputs.half()
        if self.channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def sample(self, items: int = 2) -> tuple[Any, Any]:
        """Return a batch of the first items of the data set, on the CPU."""
        dataset = self.loader.dataset
        inputs, targets = self.loader.collate_fn([dataset[index % len(dataset)] for index in range(items)])
        return inputs, targets

    def layer_dtypes(self) -> list[str]:
        """Return the data types of the outputs of the first layers that multiply matrices, in a pass over two items.

        DataParallel passes the precision on to its threads, so the pass goes through it. A rank computes in its thread.

        Raises:
            CaseRejected: where torch cannot run the model in that precision.
        """
        import torch

        dtypes: list[str] = []

        def note(layer: Any, arguments: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            dtypes.append(str(first.dtype).removeprefix("torch."))
            if len(dtypes) >= PROBED_LAYERS:
                raise _EnoughLayers

        kinds = (torch.nn.Conv2d, torch.nn.Linear, torch.nn.LSTM)
        hooks = [layer.register_forward_hook(note) for layer in self.model.modules() if isinstance(layer, kinds)]
        try:
            with torch.no_grad(), self.autocast():
                (self.network if self.ranks > 1 else self.model)(self.to_device(self.sample()[0]))
        except _EnoughLayers:
            pass
        except RuntimeError as error:
            if self.amp == "off":
                raise
            why = one_line(str(error)).rstrip(".")
            reason = f"amp {self.amp} requested: torch cannot run {self.name} so on {self.device.type}: {why}."
            raise CaseRejected("unsupported", reason, scope=("mode", "model", "device", "amp")) from error
        finally:
            for hook in hooks:
                hook.remove()
        return sorted(set(dtypes))


class _EnoughLayers(Exception):
    """Ends a forward pass whose first layers were looked at."""


def check_float16(amp: str, device: Any) -> None:
    """Raise :class:`CaseRejected` for mixed precision on a CPU without float16: a step would take 20 times as long."""
    import torch

    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", lambda: False)
    if amp == "on" and device.type == "cpu" and not (torch.backends.mkldnn.is_available() and supported()):
        reason = "amp on requested: this CPU has no float16, so torch would emulate it many times slower: use amp bf16."
        raise CaseRejected("unsupported", reason, scope=("model", "device", "amp"))


def build(name: str, imgsz: int, setup: Setup) -> Any:
    """Return a reference model with random weights."""
    import torch

    if name == "lstm256":

        class Classifier(torch.nn.Module):  # type: ignore[misc]
            """An LSTM over the rows of an image, and a linear layer on its last output."""

            def __init__(self) -> None:
                super().__init__()
                self.lstm = torch.nn.LSTM(28, 256, batch_first=True)
                self.fc = torch.nn.Linear(256, setup.classes)

            def forward(self, rows: Any) -> Any:
                outputs, _ = self.lstm(rows)
                return self.fc(outputs[:, -1])

        return Classifier()
    from torchvision import models

    if name == "vit-tiny-4":
        return models.VisionTransformer(
            image_size=imgsz,
            patch_size=4,
            num_layers=12,
            num_heads=3,
            hidden_dim=192,
            mlp_dim=768,
            num_classes=setup.classes,
        )
    return getattr(models, name)(weights=None, num_classes=setup.classes)


def make_optimizer(model: Any, setup: Setup, asked: str | None = None) -> Any:
    """Return the optimizer of a model, or the one that was asked for with its learning rate.

    Raises:
        CaseRejected: where torch has no such optimizer.
    """
    import torch

    if asked is None or asked == setup.optimizer:
        return getattr(torch.optim, setup.optimizer)(model.parameters(), **setup.arguments)
    name = "RMSprop" if asked == "RMSProp" else asked
    if not hasattr(torch.optim, name):
        reason = f"optimizer {asked} requested: torch has no such optimizer."
        raise CaseRejected("unsupported", reason, scope=("mode", "optimizer"))
    return getattr(torch.optim, name)(model.parameters(), lr=setup.arguments["lr"])


def architecture_of(network: Any) -> str:
    """Return which architecture of :data:`~.models.MODELS` a live model has, by its number of parameters."""
    count = sum(p.numel() for p in network.parameters())
    setups = [(setup, model.architecture) for model in MODELS.values() for setup in model.setups.values()]
    known = {setup.parameters: architecture for setup, architecture in setups}
    return known.get(count, f"{type(network).__name__} with {count:,} parameters")
