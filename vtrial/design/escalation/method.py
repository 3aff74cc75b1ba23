"""A Method: a kind of dose escalation with its doses and options, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vtrial.design.escalation.kind import Kind
from vtrial.design.escalation.registry import methods
from vtrial.errors import Fault, ProtocolError

PLACE = "escalation"


@dataclass(frozen=True)
class Method:
    """A method of dose escalation with all of its options; made by the function below.

    Parameters
    ----------
    word
        Of the kind.
    doses
        How many there are.
    options
        Every option's name and value.
    """

    word: str
    doses: int
    options: tuple[tuple[str, Any], ...]

    @property
    def kind(self) -> Kind:
        """Return what there is to know about its kind."""
        return methods()[self.word]

    def __getitem__(self, name: str) -> Any:
        """Return the value of an option."""
        return dict(self.options)[name]

    @property
    def sentence(self) -> str:
        """Return what a report says of it."""
        said = {name: _said(value) for name, value in self.options}
        return self.kind.sentence.format(doses=self.doses, **said)


def escalation_method(
    word: str, *, doses: int, options: Mapping[str, Any] | None = None, **more: Any
) -> Method:
    """Return a method of dose escalation with its options.

    Parameters
    ----------
    word
        Of a kind in `methods()`.
    doses
        How many there are.
    options, more
        Those of the kind, by name; a name of two words is given in `options`, or with
        an underscore. What is not given has its usual value.

    Raises
    ------
    ProtocolError
        If there is no such kind or option, an option is missing or not what it may be,
        or a list has not one entry for each dose. It names all faults.

    Examples
    --------
    >>> escalation_method("BOIN", doses=5, target=0.3)["safe"]
    0.18
    """
    kinds = methods()
    if word not in kinds:
        raise ProtocolError(
            f"{PLACE}.method", repr(word), f"one of {', '.join(kinds)}", "method: BOIN"
        )
    if not isinstance(doses, int) or doses < 1:
        raise ProtocolError(f"{PLACE}.doses", repr(doses), "at least one dose", "")
    kind = kinds[word]
    given = {
        **(options or {}),
        **{name.replace("_", " "): v for name, v in more.items()},
    }
    faults = [*_unknown(kind, given), *_wrong(kind, given, doses)]
    if faults:
        raise ProtocolError.of(faults)
    chosen = {
        name: _frozen(given.get(name, option.usual))
        for name, option in kind.options.items()
    }
    if kind.complete:
        chosen |= kind.complete(chosen, doses)
    if kind.conflict and (found := kind.conflict(chosen)):
        name, what, allowed = found
        raise ProtocolError(f"{PLACE}.{name}", what, allowed, "")
    return Method(word, doses, tuple(chosen.items()))


def _unknown(kind: Kind, given: Mapping[str, Any]) -> list[Fault]:
    """List the options that the kind does not have."""
    allowed = ", ".join(kind.options) or "nothing: it has no options"
    return [
        Fault(f"{PLACE}.{name}", "no option of " + kind.word, allowed, "")
        for name in given
        if name not in kind.options
    ]


def _wrong(kind: Kind, given: Mapping[str, Any], doses: int) -> list[Fault]:
    """List the options that are missing, or not what they may be."""
    faults = []
    for name, option in kind.options.items():
        value = given.get(name, option.usual)
        at, example = f"{PLACE}.{name}", option.example
        if value is None and option.example:
            faults.append(Fault(at, "missing", option.allowed, f"{name}: {example}"))
        elif value is not None and not option.holds(value):
            faults.append(Fault(at, repr(value), option.allowed, ""))
        elif isinstance(value, list | tuple) and (
            "one for each dose" in option.allowed and len(value) != doses
        ):
            found = f"{len(value)} numbers for {doses} doses"
            faults.append(Fault(at, found, option.allowed, ""))
    return faults


def _frozen(value: Any) -> Any:
    """Make lists hashable."""
    return tuple(value) if isinstance(value, list | tuple) else value


def _said(value: Any) -> str:
    """Write a value for a report."""
    if isinstance(value, tuple):
        return ", ".join(_said(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
