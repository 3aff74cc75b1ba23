"""The words of randomisation that looks at who came before, and their options."""

from collections.abc import Mapping
from dataclasses import dataclass

SPREADS = ("range", "variance", "deviation", "marginal sum")


@dataclass(frozen=True)
class RandomisationKind:
    """What there is to know of a word that stands at `by` of a randomisation.

    `needs` are options that must be given, each with an example. `arms`: it is for so
    many, 0 for any number; `equal`: all weights are to be the same. `usual` are the
    options where the sheet is silent.
    """

    word: str
    says: str
    options: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()
    arms: int = 0
    equal: bool = True
    usual: tuple[tuple[str, float | str], ...] = ()


_ALL = (
    RandomisationKind(
        "minimisation",
        "Gives each the arm that leaves the least imbalance over all factors, with a "
        "probability (Pocock and Simon 1975).",
        ("factors", "probability", "spread", "weights"),
        (("factors", "[FEMALE, AGE < 65]"),),
        equal=False,
        usual=(("probability", 0.8), ("spread", "range")),
    ),
    RandomisationKind(
        "biased coin",
        "Gives the arm that has fewer with a probability (Efron 1971).",
        ("probability", "stratified"),
        arms=2,
        usual=(("probability", 2 / 3),),
    ),
    RandomisationKind(
        "urn",
        "Draws from an urn to which balls of the other arms are added (Wei 1977).",
        ("begin", "add", "stratified"),
        usual=(("begin", 0.0), ("add", 1.0)),
    ),
    RandomisationKind(
        "big stick",
        "Tosses a fair coin, but never lets arms differ by more than so many (Soares "
        "and Wu 1983).",
        ("most", "stratified"),
        arms=2,
        usual=(("most", 3.0),),
    ),
)


def randomisation_kinds() -> Mapping[str, RandomisationKind]:
    """Return the kinds by their words.

    Examples
    --------
    >>> list(randomisation_kinds())
    ['minimisation', 'biased coin', 'urn', 'big stick']
    """
    return {kind.word: kind for kind in _ALL}
