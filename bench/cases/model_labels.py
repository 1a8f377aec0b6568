"""Labels of models for readers: a name, or the shortest path that distinguishes a file from the other files.

An ID or a record needs a name that never changes (:func:`bench.cases.case.model_name`). A reader needs to see which of
two ``best.pt`` a figure belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

_labels: dict[str, str] = {}
"""Labels of the models that this process shows; see :func:`show_together`."""


def shortest(models: Iterable[str]) -> dict[str, str]:
    """Return a label for each model: a name stays as it is, a file gets as many of its last folders as it needs.

    ``/a/run1/best.pt`` and ``/a/run2/best.pt`` are ``run1/best.pt`` and ``run2/best.pt``.
    """
    distinct = dict.fromkeys(models)
    parts = {model: PurePosixPath(model).parts for model in distinct if "/" in model}
    labels = {model: model for model in distinct if "/" not in model}
    for length in range(1, max(map(len, parts.values()), default=0) + 1):
        ends = {model: "/".join(all_parts[-length:]).replace("//", "/") for model, all_parts in parts.items()}
        counts = Counter([*ends.values(), *labels.values()])
        for model, end in ends.items():
            if model not in labels and (counts[end] == 1 or length >= len(parts[model])):
                labels[model] = end
        parts = {model: all_parts for model, all_parts in parts.items() if model not in labels}
    return labels


def show_together(models: Iterable[str]) -> None:
    """Register models that this process shows together, so that their labels differ; may be called repeatedly."""
    _labels.update(shortest([*_labels, *models]))


def label(model: str) -> str | None:
    """Return the label of a registered model; None for other models."""
    return _labels.get(model)


def is_called(model: str, text: str, name: str) -> bool:
    """Whether a user's text means a model: its name, its path, or the end of its path.

    Args:
        model: as a case has it.
        text: text of the user.
        name: of the model in ids.
    """
    end = f"/{text.removeprefix('./')}"
    return text in (model, name, label(model)) or ("/" in model and model.endswith((end, f"{end}.yaml")))
