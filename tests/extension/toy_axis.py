"""An axis: the momentum of the optimizer."""


def parse(text):
    """Return the number that a user wrote, or say in one sentence what is wrong with it."""
    from bench.errors import UsageError

    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise UsageError(f"momentum {text!r} is not allowed: use a number of at least 0 and below 1, such as 0.9.")
    return value


def register():
    """Add the axis: what the library is given, and the setting that is read back and compared with it."""
    from bench.cases.axes import Axis, register

    register(
        Axis(
            "momentum",
            "Momentum",
            parse,
            "of the optimizer, such as 0,0.9",
            order=float,
            numeric=True,
            modes=("train",),
            arguments=lambda value: {"momentum": value},
            setting="momentum",
        )
    )
