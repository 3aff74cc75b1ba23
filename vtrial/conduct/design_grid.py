"""The same trial under other designs: variations of a sheet, and the size for a power.

Designs that differ in what looks do are enacted from one record; other truths are
simulated once each.
"""

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from vtrial.analysis.enacted import enacted_of
from vtrial.analysis.operating import proportion_of
from vtrial.conduct.assured import assured
from vtrial.conduct.enacting import (
    enact,
    enact_from_all,
    refuse_whole,
    without_looks,
)
from vtrial.conduct.run import run
from vtrial.design.trials import together
from vtrial.errors import ProtocolError
from vtrial.protocol.enactment import Milestone
from vtrial.protocol.load import build_protocol
from vtrial.protocol.protocol import Protocol
from vtrial.sheets.remedy import read_value
from vtrial.sheets.sheet import parse_sheet
from vtrial.sheets.words import listed, nearest
from vtrial.store.record import Record

PARAMETERS = "parameters"
MOST_CELLS, MOST_STEPS, LEAST_SIZE = 400, 10, 4


class Sized(NamedTuple):
    """A size and the power that it was seen to have.

    `tried` has a row for each size that was looked at: size, power and its Monte Carlo
    error; `guess` is the size by the normal approximation.
    """

    size: int
    power: float
    mc_error: float
    guess: int
    tried: pd.DataFrame


def read_variation(text: str) -> tuple[str, list[object]]:
    """Read `looks.first.at = 30 %, 50 %`: a key of `design`, and its values.

    Raises
    ------
    ProtocolError
        If there is no `=`, or nothing behind it.

    Examples
    --------
    >>> read_variation("adapt.stop.alpha=1 %, 2.5 %")
    ('adapt.stop.alpha', ['1 %', '2.5 %'])
    """
    key, sign, words = text.partition("=")
    values = [one.strip() for one in words.split(",") if one.strip()]
    if not sign or not key.strip() or not values:
        raise ProtocolError(
            at="--grid",
            found=f"`{text}`",
            allowed="a key below `design` and its values, such as "
            "`looks.first=30 %, 50 %`, or `parameters.CL=4, 5`",
            write="",
        )
    return key.strip(), [read_value(one, key.strip()) for one in values]


def varied(
    protocol: Protocol, variations: Mapping[str, Sequence[object]]
) -> Iterator[tuple[dict[str, object], Protocol]]:
    """Yield every combination of values with the protocol that has them.

    Keys are below `design`, names joined by dots; `parameters.NAME` sets a parameter
    of the model.

    Raises
    ------
    ProtocolError
        If a key is not in the sheet's design, there are too many combinations, or a
        sheet with such a value is wrong.
    """
    cells = math.prod(len(values) for values in variations.values())
    if cells > MOST_CELLS:
        raise ProtocolError(
            at="--grid",
            found=f"{cells} combinations",
            allowed=f"at most {MOST_CELLS}",
            write="",
        )
    for values in itertools.product(*variations.values()):
        settings = dict(zip(variations, values, strict=True))
        yield settings, _with(protocol, settings)


def _with(protocol: Protocol, settings: Mapping[str, object]) -> Protocol:
    """Return the protocol of the same sheet with other entries."""
    sheet = parse_sheet(protocol.text, source=protocol.path or protocol.name)
    data: dict[str, Any] = copy.deepcopy(dict(sheet.data))
    numbers = {
        "subjects": protocol.subjects,
        "replicates": protocol.replicates,
        "seed": protocol.seed,
    }
    if isinstance(data.get("subjects"), dict):
        numbers.pop("subjects")
    data |= numbers
    parameters: dict[str, float] = {}
    for key, value in settings.items():
        first, *rest = key.split(".")
        if first == PARAMETERS and len(rest) == 1:
            parameters[rest[0]] = float(str(value))
            continue
        node = data.setdefault("design", {})
        for place, name in enumerate((first, *rest)):
            last = place == len(rest)
            if not isinstance(node, dict) or (not last and name not in node):
                known = list(node) if isinstance(node, dict) else []
                raise ProtocolError(
                    at=f"--grid {key}",
                    found=f"`{name}`, which is not there",
                    allowed=f"a key of the sheet's `design`: {listed(known)}",
                    write=nearest(name, known),
                )
            if last:
                node[name] = value
            node = node[name]
    made = build_protocol(dataclasses.replace(sheet, data=data))
    return made.with_parameters(**parameters) if parameters else made


def design_table(
    protocol: Protocol,
    variations: Mapping[str, Sequence[object]],
    *,
    assurance: bool = False,
    trials: int | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Return the operating characteristics of every variation of a design.

    A row for each combination and measure, as in `Estimates.enacted`, with the settings
    in columns of their own before it; instead of them its `assurance` and what that is
    made of, if asked for.
    """
    frames = []
    for settings, one in varied(protocol, variations):
        if assurance:
            table = assured(one, trials=trials, workers=workers)
        else:
            table = _characteristic(one, trials, workers)
        for place, (key, value) in enumerate(settings.items()):
            table.insert(place, key, [value] * len(table))
        frames.append(table)
    return pd.concat(frames, ignore_index=True)


def _characteristic(
    protocol: Protocol, trials: int | None, workers: int | None
) -> pd.DataFrame:
    """Return the operating characteristics of one design."""
    record = run(protocol, workers=workers)
    enact(record, protocol, trials=trials)
    found = enacted_of(record.tree(), protocol)
    return found.enacted if len(found.enacted) else found.escalated.copy()


def size_for(
    record: Record,
    protocol: Protocol,
    *,
    power: float,
    comparison: str = "",
    trials: int = 2000,
) -> Sized:
    """Return the smallest size with which a trial shows a comparison so often.

    Trials of several sizes are enacted, with subjects drawn from all of the record, and
    all milestones in proportion. The first guess is the normal approximation: the mean
    statistic grows with the root of the size. Between two sizes about the aim the next
    lies where the normal quantile of the power is linear in that root. The search ends
    where two sizes next to each other (by 2 %) lie on both sides.

    Raises
    ------
    ProtocolError
        If there is no such comparison, if it shows no effect in the aimed direction,
        or if the sheet says nothing of looks.
    """
    refuse_whole(protocol)
    if protocol.enactment is None:
        protocol = dataclasses.replace(protocol, enactment=without_looks(protocol))
    names = [one.name for one in protocol.analysis.comparisons]
    comparison = comparison or (names[0] if names else "")
    if comparison not in names:
        raise ProtocolError(
            at="the comparison",
            found=f"`{comparison}`",
            allowed=f"a comparison: {listed(names)}",
            write=nearest(comparison, names),
        )
    place, tree = names.index(comparison), record.tree()
    rows: dict[int, tuple[float, float, float]] = {}

    def seen(size: int) -> float:
        """Return the power with a size."""
        if size not in rows:
            asked = rescaled(protocol, size)
            made = together(
                list(enact_from_all(tree, asked, first=0, last=trials, subjects=size))
            )
            worth = proportion_of(made.success[:, place])
            z = made.z[:, :, place]
            z = z[np.arange(len(z)), made.ended]
            rows[size] = (worth.value, worth.mc_error, abs(float(np.nanmean(z))))
        return rows[size][0]

    first = protocol.enactment.planned  # type: ignore[union-attr] # just made
    seen(first)
    alpha = protocol.analysis.comparisons[place].alpha / 2
    aim = float(special.ndtri(power) - special.ndtri(alpha))
    if not rows[first][2] > 0.05:
        raise ProtocolError(
            at=comparison,
            found="no effect in the simulated trials",
            allowed="a comparison with an effect, for otherwise no size shows it",
            write="",
        )
    guess = max(4, math.ceil(first * (aim / rows[first][2]) ** 2))
    size = _found(seen, first, guess, power)
    tried = [(one, *rows[one][:2]) for one in sorted(rows)]
    table = pd.DataFrame(tried, columns=["size", "power", "mc_error"])
    return Sized(size, *rows[size][:2], guess, table)


def _found(seen: Callable[[int], float], first: int, guess: int, power: float) -> int:
    """Return the smallest size about a guess whose power reaches the aim."""
    sizes = [first, guess] if guess != first else [first]
    worth: dict[int, float] = {}
    for _ in range(MOST_STEPS):
        worth = {size: seen(size) for size in sizes}
        low = max([n for n in sizes if worth[n] < power], default=0)
        high = min([n for n in sizes if worth[n] >= power and n > low], default=0)
        if high and high - low <= max(1, high // 50):
            return high
        if high and high <= LEAST_SIZE:
            return high
        sizes.append(_next(worth, low, high, power))
    return min([n for n in sizes if worth.get(n, 0.0) >= power], default=max(sizes))


def _next(worth: Mapping[int, float], low: int, high: int, power: float) -> int:
    """Return the size at which the quantile of the power is linear in its root.

    The line goes through both sizes about the aim, or the two nearest to it.
    """
    near = sorted(worth, key=lambda size: abs(worth[size] - power))[:2]
    pair = sorted([low, high] if low and high else near)
    aim, factor = special.ndtri(power), 1.5 if not high else 1 / 1.5
    made = pair[-1 if not high else 0] * factor
    if len(pair) == 2:
        known = np.clip([worth[size] for size in pair], 1e-3, 1 - 1e-3)
        quantile, root = special.ndtri(known), np.sqrt(pair)
        if quantile[1] > quantile[0]:
            slope = (quantile[1] - quantile[0]) / (root[1] - root[0])
            made = max(root[0] + (aim - quantile[0]) / slope, 1.0) ** 2
            made *= 1.005 if not high else 1.0
    least = low + 1 if low else max(2, high // 4)
    most = high - 1 if high else 4 * low
    return int(min(max(round(made), least), most))


def rescaled(protocol: Protocol, size: int) -> Protocol:
    """Return the same design for another number of subjects, looks in proportion."""
    enactment = protocol.enactment
    assert enactment is not None, "the caller has looked"
    ratio = size / enactment.planned

    def moved(one: Milestone) -> Milestone:
        if one.counter == "hours" or one.of:
            return one
        return dataclasses.replace(one, number=one.number * ratio)

    looks = tuple(
        dataclasses.replace(
            look, when=tuple(tuple(map(moved, parts)) for parts in look.when)
        )
        for look in enactment.looks
    )
    made = dataclasses.replace(enactment, looks=looks, planned=size)
    return dataclasses.replace(protocol, enactment=made)
