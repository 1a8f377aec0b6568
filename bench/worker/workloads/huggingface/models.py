"""BERT models of this family: their shapes, and how they are built from a configuration, without a download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..base import own_name

VOCABULARY = 28_996
"""Number of tokens of bert-base-cased."""

POSITIONS = 512
"""Maximum number of tokens in a sequence."""

LABELS = 2
"""Classes of a pair of sentences in MRPC: different or equivalent."""


@dataclass(frozen=True)
class Shape:
    """Size of a BERT model.

    Attributes:
        hidden: width of a token's vector.
        layers: number of encoder layers.
        heads: attention heads per layer.
    """

    hidden: int
    layers: int
    heads: int

    def gflops(self, tokens: int) -> float:
        """Return the operations of a forward pass over one sequence in 10^9, two per multiplication.

        The matrices of a layer are 12 times the square of its width, and attention multiplies two by the length.
        """
        matrices = 24 * self.hidden**2 * tokens
        attention = 4 * self.hidden * tokens**2
        return self.layers * (matrices + attention) / 1e9


MODELS = {
    "bert-base": Shape(hidden=768, layers=12, heads=12),
    "bert-tiny": Shape(hidden=128, layers=2, heads=2),
}
"""Models by name: the size of bert-base-cased with 108,311,810 parameters, and one for quick trials."""


def shape_of(model: str) -> Shape:
    """Return the shape of a model as a case names it."""
    return MODELS[own_name(model)]


def build(model: str) -> Any:
    """Return a model that classifies pairs of sentences, with random weights from torch's present seed."""
    from transformers import BertConfig, BertForSequenceClassification

    shape = shape_of(model)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=VOCABULARY,
            num_labels=LABELS,
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=4 * shape.hidden,
            max_position_embeddings=POSITIONS,
        )
    )


def without_dropout(model: Any) -> Any:
    """Return a copy of a model in float32 on the CPU that trains without dropout, whose random numbers differ by
    device.
    """
    config = type(model.config).from_dict(
        {**model.config.to_dict(), "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    )
    copied = type(model)(config)
    copied.load_state_dict(model.state_dict())
    return copied.float()
