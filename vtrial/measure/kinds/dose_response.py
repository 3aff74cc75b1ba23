"""Dose-response over several arms: a test by contrasts, and curves (MCP-Mod)."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from vtrial.measure.groups import Contrast, Effect, Groups, Pairs, Values
from vtrial.measure.kind import Measure

if TYPE_CHECKING:
    from vtrial.measure.dose_response.procedure import Choice
    from vtrial.measure.dose_response.shape import Candidate
    from vtrial.measure.dose_response.trial import Means

ESTIMATE, COURSE, CHOSEN = "estimate", "course: ", "chosen"  # over doses
Named = tuple[tuple[str, float], ...]
Estimated = Callable[[Groups], "Means"]  # at the doses, of each trial
Word = Literal["difference of means", "odds ratio"]
Guessed = tuple[tuple[str, tuple[float, ...]], ...]


def _means(groups: Groups) -> "Means":
    from vtrial.measure.dose_response.trial import means_by_dose

    assert groups.dosed is not None, "it is of doses"
    return means_by_dose(
        groups.dosed.value,
        groups.dosed.place,
        groups.dosed.doses,
        covariates=groups.covariates,
    )


def _logits(groups: Groups) -> "Means":
    from vtrial.measure.dose_response.logits import logits_by_dose

    assert groups.dosed is not None, "it is of doses"
    return logits_by_dose(
        groups.dosed.value,
        groups.dosed.place,
        groups.dosed.doses,
        covariates=groups.covariates,
    )


def _effect(estimated: Estimated, groups: Groups) -> Effect:
    """Return the difference of an arm's estimate from its reference's."""
    assert groups.dosed is not None, "it is of doses"
    made, (arm, other) = estimated(groups), groups.dosed.versus
    square = made.inverse[:, arm, arm] + made.inverse[:, other, other]
    square = square - 2 * made.inverse[:, arm, other]
    difference = made.estimate[:, arm] - made.estimate[:, other]
    return Effect(difference, np.sqrt(square * made.variance), made.freedom)


def _candidates(shapes: Guessed) -> list["Candidate"]:
    from vtrial.measure.dose_response.shape import candidate

    return [candidate(word, *guesses) for word, guesses in shapes]


def _compared(
    estimated: Estimated,
    ratio: bool,
    groups: Groups,
    *,
    level: float,
    doses: Named,
    shapes: Guessed,
    choose: "Choice",
    target: float | None,
) -> Contrast:
    """Compare an arm with the reference; the p-value is that of all doses together."""
    from vtrial.measure.contrast import contrast_of
    from vtrial.measure.dose_response.trial import contrasts_of

    amounts = np.array([dose for _, dose in doses])
    made = contrast_of(_effect(estimated, groups), ratio=ratio, level=level)
    test = contrasts_of(estimated(groups), _candidates(shapes), amounts)
    return made._replace(p=test.p.min(axis=1))


def _modelled(
    estimated: Estimated,
    ratio: bool,
    groups: Groups,
    *,
    level: float,
    doses: Named,
    shapes: Guessed,
    choose: "Choice",
    target: float | None,
) -> dict[str, np.ndarray]:
    """Return how much each shape counts, and the target dose, in each trial."""
    from vtrial.measure.dose_response.trial import contrasts_of, models

    amounts, candidates = np.array([dose for _, dose in doses]), _candidates(shapes)
    means = estimated(groups)
    effect = None if target is None else float(np.log(target)) if ratio else target
    made = models(
        means,
        contrasts_of(means, candidates, amounts),
        candidates,
        amounts,
        alpha=1 - level,
        choose=choose,
        target=effect,
    )
    found = {f"chosen: {word}": made.weights[:, i] for i, word in enumerate(made.words)}
    if target is not None:
        found["target dose"] = made.target
    shown = _shares if ratio else np.asarray
    found[ESTIMATE] = shown(means.estimate)
    for number, word in enumerate((CHOSEN, *made.words)):
        found[COURSE + word] = shown(made.courses[:, number])
    return found


def _shares(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of their logits."""
    from scipy.special import expit

    return expit(logits)


def _pairs(word: Word, value: Values, reference: Values) -> Pairs:
    from vtrial.measure.contrast import pairs_of

    return pairs_of(word, value, reference)


_kind = functools.partial(
    Measure,
    options=("adjust", "doses", "shapes", "choose", "target"),
    needs=(
        ("doses", "the dose of each arm", "doses: {low: 0, middle: 10, high: 40}"),
        ("shapes", "candidates with guesses", "shapes: [linear, emax 10]"),
    ),
    margins=False,
)
KINDS = (
    _kind(
        word="MCP-Mod",
        place=45,
        of="doses",
        kernel=functools.partial(_compared, _means, False),
        says="the arm's difference; the p-value is that of a dose-response",
        effect=functools.partial(_effect, _means),
        pairs=functools.partial(_pairs, "difference of means"),
        details=functools.partial(_modelled, _means, False),
        lacks="an arm has too few values",
    ),
    _kind(
        word="MCP-Mod of responses",
        place=95,
        of="dosed responses",
        ratio=True,
        odds=True,
        kernel=functools.partial(_compared, _logits, True),
        says="the arm's odds ratio; the p-value is that of a dose-response of logits",
        effect=functools.partial(_effect, _logits),
        pairs=functools.partial(_pairs, "odds ratio"),
        details=functools.partial(_modelled, _logits, True),
        lacks="a dose has nobody",
    ),
)
