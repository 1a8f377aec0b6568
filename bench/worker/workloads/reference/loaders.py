"""Data loaders of the reference models, as guides write them: a data set with transforms, and torch's DataLoader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .made_data import ARRAYS, CLASSES, ITEMS
from .models import CIFAR, IMAGENET, Setup

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, by which guides normalise images."""


class Arrays:
    """Items of an array with a transform; a data loader process that is spawned opens the file again.

    Args:
        folder: of the pool.
        name: of the made data set.
        transform: of an item; None to scale it to 0 to 1.
    """

    def __init__(self, folder: Path, name: str, transform: Any = None) -> None:
        import torch

        file = folder / ITEMS
        values = torch.from_file(str(file), shared=False, size=file.stat().st_size, dtype=torch.uint8)
        self.items = values.view(-1, *ARRAYS[name][1:])
        self.folder, self.name, self.transform = folder, name, transform

    def __reduce__(self) -> Any:
        return Arrays, (self.folder, self.name, self.transform)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        item = self.items[index]
        if self.transform is None:
            return item.float() / 255, index % CLASSES
        from PIL import Image

        return self.transform(Image.fromarray(item.numpy())), index % CLASSES


def transform_of(name: str, imgsz: int, training: bool) -> Any:
    """Return the transforms of a data set, those of PyTorch's own tutorials; None for sequences."""
    if name not in (CIFAR, IMAGENET):
        return None
    from torchvision import transforms

    last = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    if name == CIFAR:
        first = [transforms.RandomCrop(imgsz, padding=4), transforms.RandomHorizontalFlip()] if training else []
    elif training:
        first = [transforms.RandomResizedCrop(imgsz), transforms.RandomHorizontalFlip()]
    else:
        first = [transforms.Resize(imgsz * 256 // 224), transforms.CenterCrop(imgsz)]
    return transforms.Compose([*first, *last])


REPEATS = 64
"""Times that prediction goes through its one batch of items before it begins again."""


def make_loader(
    source: str,
    setup: Setup,
    case: dict[str, Any],
    device: Any,
    workers: int,
    training: bool,
    rank: int = 0,
    ranks: int = 1,
) -> Any:
    """Return the data loader of a case.

    Args:
        source: listing of a made data set.
        setup: of the model at its size.
        case: its axes.
        device: ``torch.device`` that the batches are copied to.
        workers: data loader processes.
        training: whether items are shuffled and augmented.
        rank: of this process.
        ranks: number of processes that share the items, and a batch of the case equally.
    """
    from torch.utils.data import DataLoader, DistributedSampler, Subset

    transform = transform_of(setup.data, case["imgsz"], training)
    folder = Path(source).parent
    pool: Any
    if setup.data == IMAGENET:
        from torchvision.datasets import ImageFolder

        pool = ImageFolder(str(folder / "train"), transform)
    else:
        pool = Arrays(folder, setup.data, transform)
    items = json.loads(Path(source).read_text(encoding="ascii"))["items"]
    indices = [index % min(items, len(pool)) for index in range(items if training else items * REPEATS)]
    items_of_case = Subset(pool, indices)
    sampler = DistributedSampler(items_of_case, ranks, rank, drop_last=True) if ranks > 1 else None
    return DataLoader(
        items_of_case,
        batch_size=case["batch"] // ranks,
        shuffle=training and sampler is None,
        sampler=sampler,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        drop_last=training,
        persistent_workers=workers > 0,
    )
