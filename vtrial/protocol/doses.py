"""What a comparison of several doses is told: doses, shapes, and a target."""

import math

from vtrial.endpoint.endpoint import Endpoint
from vtrial.errors import ProtocolError
from vtrial.measure.registry import measures
from vtrial.protocol.comparison_shape import ComparisonShape
from vtrial.protocol.faults import Faults
from vtrial.protocol.scope import Known
from vtrial.protocol.values import effect_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

Dosed = tuple[tuple[str, float], ...]
Guessed = tuple[tuple[str, tuple[float, ...]], ...]


def read_dosed(
    path: Path_,
    shape: ComparisonShape,
    pair: tuple[str, str] | None,
    known: Known,
    faults: Faults,
) -> tuple[Dosed, Guessed]:
    """Read the doses of arms, from the lowest on, and the candidates; or nothing."""
    if not measures()[shape.by].dosed:
        return (), ()
    before = len(faults.entries)
    given = shape.doses or {}
    if shape.doses is not None:
        _check_arms((*path, "doses"), shape.doses, pair, known, faults)
    doses = tuple(sorted(given.items(), key=lambda one: one[1]))
    if len(faults.entries) > before:
        return (), ()
    amounts = tuple(dose for _, dose in doses)
    shapes = [
        _candidate((*path, "shapes", place), words, amounts, faults)
        for place, words in enumerate(shape.shapes or ())
    ]
    return doses, tuple(one for one in shapes if one is not None)


def _check_arms(
    path: Path_,
    doses: dict[str, float],
    pair: tuple[str, str] | None,
    known: Known,
    faults: Faults,
) -> None:
    """Refuse doses that arms cannot have, and arms that lack one."""
    for name, dose in doses.items():
        if name not in known.arms:
            faults.unknown((*path, name), name, known.arms, "arm")
        if not (math.isfinite(dose) and dose >= 0):
            faults.add((*path, name), found=f"{dose:g}", allowed="0 or more")
    if len(set(doses.values())) < len(doses):
        faults.add(
            path,
            found="two arms with the same dose",
            allowed="a dose of its own for each arm; leave the others out",
        )
    if len(doses) < 3:
        faults.add(
            path,
            found=f"{len(doses)} doses",
            allowed="at least three, that of the reference included",
        )
    if pair is None:
        return
    for name in pair:
        if name not in doses:
            faults.add(
                path,
                found=f"without `{name}`, which is compared",
                allowed=f"a dose for each of {listed(pair)}, too",
            )
    least = min(doses, key=lambda one: doses[one], default="")
    if pair[1] in doses and least != pair[1]:
        faults.add(
            path,
            found=f"{doses[pair[1]]:g} for `{pair[1]}`, the reference, and "
            f"{doses[least]:g} for `{least}`",
            allowed="the lowest dose for the reference",
        )


def _candidate(
    path: Path_, words: str, doses: tuple[float, ...], faults: Faults
) -> tuple[str, tuple[float, ...]] | None:
    """Read a shape with guesses of its parameters: `emax 10`."""
    import numpy as np

    from vtrial.measure.dose_response.registry import shapes
    from vtrial.measure.dose_response.shape import candidate, course

    word, *rest = words.replace(",", " ").split() or [""]
    known = shapes()
    if word not in known:
        faults.unknown(path, word, known, "shape")
        return None
    such = " ".join((word, *(name.upper() for name in known[word].parameters)))
    try:
        guesses = tuple(float(one) for one in rest)
        made = candidate(word, *guesses)
        if doses:
            course(made, np.array(doses))
    except ProtocolError as error:
        allowed = f"{error.faults[0].allowed} (`{such}`)"
        faults.add(path, found=error.faults[0].found, allowed=allowed)
        return None
    except ValueError:
        faults.add(path, found=f"`{words}`", allowed=f"a shape and numbers: `{such}`")
        return None
    if doses and len(doses) < _parameters(word):
        faults.add(
            path,
            found=f"`{word}`, which has {_parameters(word)} parameters, with "
            f"{len(doses)} doses",
            allowed=f"a shape with at most {len(doses)} parameters, the curve's height "
            "and its beginning included",
        )
        return None
    return word, made.guesses


def _parameters(word: str) -> int:
    """Count what is fitted of a shape; 0 of one that is only tested."""
    from vtrial.measure.dose_response.registry import shapes

    shape = shapes()[word]
    if shape.linear is not None:
        return 2 + len(shape.parameters)
    return 2 + len(shape.parameters) if shape.bounds is not None else 0


def read_target(
    path: Path_, shape: ComparisonShape, endpoint: Endpoint, faults: Faults
) -> float | None:
    """Read the effect that the target dose is to have: a ratio, or in its unit."""
    if shape.target is None:
        return None
    ratio = measures()[shape.by].ratio
    try:
        target = effect_in(shape.target, "1" if ratio else endpoint.unit)
    except ProtocolError as error:
        faults.relay(path, error)
        return None
    if ratio and (target <= 0 or target == 1):
        allowed = "above 0, and not 1: an odds ratio"
        faults.add(path, found=f"{target:g}", allowed=allowed)
    if not ratio and target == 0:
        faults.add(path, found="0", allowed="above or below 0: an effect")
    return target
