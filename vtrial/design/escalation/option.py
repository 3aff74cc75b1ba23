"""What options of methods may be, and the words for it."""

import math
from collections.abc import Sequence
from typing import Any

from vtrial.design.escalation.kind import Option


def _number(value: Any) -> bool:
    """Say whether it is a finite number."""
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and math.isfinite(value)


def between(usual: float | None, low: float, high: float, example: str = "") -> Option:
    """Return an option that lies between two numbers, or is one of them not at all."""
    return Option(
        usual,
        f"a number above {low:g} and below {high:g}",
        lambda value: _number(value) and low < value < high,
        example,
    )


def probability(usual: float | None, example: str = "") -> Option:
    """Return an option that is a probability, neither 0 nor 1."""
    return between(usual, 0.0, 1.0, example)


def level(usual: float) -> Option:
    """Return an option that is a level of certainty; 1 is never reached."""
    return Option(
        usual,
        "a number above 0 and at most 1",
        lambda value: _number(value) and 0 < value <= 1,
    )


def positive(usual: float | None, example: str = "") -> Option:
    """Return an option that is a positive number."""
    return Option(
        usual,
        "a positive number",
        lambda value: _number(value) and value > 0,
        example,
    )


def real(usual: float | None, example: str = "") -> Option:
    """Return an option that is any number."""
    return Option(usual, "a number", _number, example)


def whole(usual: int, least: int) -> Option:
    """Return an option that is a whole number."""
    return Option(
        usual,
        f"a whole number, at least {least}",
        lambda value: _number(value) and value == int(value) and value >= least,
    )


def choice(usual: str, *words: str) -> Option:
    """Return an option that is one of some words."""
    said = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return Option(usual, said, lambda value: value in words)


def switch(usual: bool) -> Option:
    """Return an option that is on or off."""
    return Option(usual, "true or false", lambda value: isinstance(value, bool))


def rising(example: str, *, shares: bool = False, usual: Any = None) -> Option:
    """Return an option that is a rising list of numbers, one for each dose."""

    def holds(values: Any) -> bool:
        if not isinstance(values, Sequence) or isinstance(values, str):
            return False
        numbers = all(_number(value) for value in values) and len(values) > 0
        inside = not shares or (numbers and min(values) > 0 and max(values) < 1)
        return (
            numbers
            and inside
            and all(a < b for a, b in zip(values, values[1:], strict=False))
        )

    said = "rising probabilities" if shares else "rising numbers"
    return Option(usual, f"{said}, one for each dose", holds, example)


def numbers(usual: tuple[float, ...], said: str) -> Option:
    """Return an option that is a list of so many numbers as is usual."""
    return Option(
        usual,
        said,
        lambda values: (
            isinstance(values, Sequence)
            and not isinstance(values, str)
            and len(values) == len(usual)
            and all(_number(value) for value in values)
        ),
    )
