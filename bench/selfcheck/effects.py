"""Effects of a known size that are planted in head, to see whether ``regress`` finds them."""

from __future__ import annotations

import msgspec

from bench.errors import UsageError


class Effect(msgspec.Struct, frozen=True):
    """Something that is planted in head.

    Attributes:
        name: of the option.
        share: of the mean step; 0 for a copy of base.
        where: the phase, a key of :data:`bench.selfcheck.planted_environment.WHERE`.
        margin: of the comparison, as a share.
        goal: the expected result.
        comparisons: the most that are measured; 0: as many as were asked for.
    """

    name: str
    share: float
    where: str
    margin: float
    goal: str
    comparisons: int = 0

    @property
    def title(self) -> str:
        """The effect in words."""
        return f"{self.share * 100:g} % planted in {self.where}" if self.share else "The same against its copy"


EFFECTS = {
    effect.name: effect
    for effect in (
        Effect("none", 0.0, "forward", 0.01, "none slower or faster; ≤ 1 % after 8 pairs"),
        Effect("+5%", 0.05, "forward", 0.03, "slower in 19 of 20"),
        Effect("+2%", 0.02, "forward", 0.01, "slower in 15 of 20"),
        Effect("optimizer", 0.05, "optimizer", 0.03, "slower, by the optimizer", 3),
        Effect("data", 0.05, "data", 0.03, "slower, by data", 3),
    )
}


def chosen(text: str) -> list[Effect]:
    """Return effects by their names, all where none is named.

    Raises:
        UsageError: for a name that no effect has.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in EFFECTS:
            raise UsageError(f"effect {name!r} is unknown: use some of {','.join(EFFECTS)}.")
    return [EFFECTS[name] for name in dict.fromkeys(names)] or list(EFFECTS.values())
