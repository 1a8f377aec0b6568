"""Made pairs of sentences in the shape of MRPC, as token numbers: no tokenizer and no download."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from .models import VOCABULARY

if TYPE_CHECKING:
    from ...protocol import DataJob

NAME = "mrpc-like"
"""Name of the made data set."""

PAIRS = 3668
"""Pairs in MRPC's training set, and the maximum number of distinct made pairs: a longer set repeats them."""

LENGTH = 128
"""Tokens to which sequences of MRPC are usually padded."""

SHORTEST = 22
"""Minimum number of tokens of a made pair."""

SKEW = 2.4
"""Exponent by which most pairs are short: their mean length is 53 where the longest has 128."""

ONES = 0.67
"""Share of label 1."""

FIRST_WORD, CLASSIFY, SEPARATE, PAD = 1000, 101, 102, 0
"""Token numbers of bert-base-cased: first number of a word, and its marks ``[CLS]``, ``[SEP]`` and ``[PAD]``."""


class MadeTokens:
    """Data set of torch: an element is a dictionary of tensors, padded to one length, as a tokenizer returns it."""

    def __init__(self, count: int, length: int, seed: int) -> None:
        """Make the pairs.

        Args:
            count: number of elements.
            length: tokens of each element, padding included.
            seed: random seed.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)
        distinct = min(count, PAIRS)
        shortest = min(SHORTEST, length)
        skewed = torch.rand(distinct, generator=generator) ** SKEW
        lengths = (shortest + (length - shortest + 1) * skewed).long().clamp(max=length).unsqueeze(1)
        position = torch.arange(length).unsqueeze(0)
        tokens = torch.randint(FIRST_WORD, VOCABULARY, (distinct, length), generator=generator)
        tokens[:, 0] = CLASSIFY
        tokens[(position == lengths // 2) | (position == lengths - 1)] = SEPARATE
        self.tokens = tokens.masked_fill(position >= lengths, PAD)
        self.mask = (position < lengths).long()
        self.types = ((position > lengths // 2) & (position < lengths)).long()
        self.labels = (torch.rand(distinct, generator=generator) < ONES).long()
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = index % len(self.tokens)
        return {
            "input_ids": self.tokens[row],
            "attention_mask": self.mask[row],
            "token_type_ids": self.types[row],
            "labels": self.labels[row],
        }

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over all elements."""
        digest = hashlib.sha256(str(self.count).encode())
        for part in (self.tokens, self.mask, self.types, self.labels):
            digest.update(part.numpy().tobytes())
        return digest.hexdigest()[:12]


def provide(job: DataJob) -> dict[str, Any]:
    """Return the fields of :class:`~...protocol.DataProvided`; each worker makes the set again, from its source.

    A validation set is made of the next seed.
    """
    made = MadeTokens(job.images, LENGTH, job.seed)
    validation = f":{job.val_images}" if job.val_images else ""
    return {
        "source": f"{job.name}:{job.images}:{job.seed}{validation}",
        "fingerprint": made.fingerprint,
        "images": job.images,
    }


def load(source: str, length: int) -> MadeTokens:
    """Make the set of a source that :func:`provide` returned, with a number of tokens."""
    _, count, seed, *_ = source.split(":")
    return MadeTokens(int(count), length, int(seed))


def load_validation(source: str, length: int) -> MadeTokens | None:
    """Make the validation set of a source; None for one without."""
    _, _, seed, *count = source.split(":")
    return MadeTokens(int(count[0]), length, int(seed) + 1) if count else None
