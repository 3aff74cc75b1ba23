"""Dropout: for which causes subjects leave, each at a hazard of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vtrial.endpoint.endpoint import DROPOUT
from vtrial.errors import ModelError, ProtocolError
from vtrial.model.grammar import parse_expression
from vtrial.model.tree import Expression, evaluate, names_in
from vtrial.protocol.design import Cause, Dropout
from vtrial.protocol.dropout_shape import CauseShape, DropoutShape
from vtrial.protocol.faults import Faults
from vtrial.protocol.rates import rate_in
from vtrial.protocol.scope import Known
from vtrial.protocol.times import moment
from vtrial.protocol.values import share_in
from vtrial.sheets.sheet import Path_

CLOCK = ("t", "day")
_SUCH = "0.01 / month"
_SHARE, _HAZARD = ("share", "by"), ("hazard", "per")
_TRIED = 64  # values by which an equation is tried for its sign


def read_dropout(
    shape: DropoutShape | None, arms: Sequence[str], known: Known, faults: Faults
) -> Dropout:
    """Read for which causes subjects leave, and at which hazards."""
    if shape is None:
        return Dropout()
    path, reader = ("design", "dropout"), _Reader(tuple(arms), known, faults)
    if shape.causes is None:
        made = [reader.cause(path, DROPOUT, shape)]
        return Dropout(tuple(one for one in made if one is not None))
    for key in (*_SHARE, *_HAZARD):
        if getattr(shape, key) is not None:
            faults.add(
                (*path, key),
                found=f"`{key}` beside `causes`",
                allowed="left out, or said of one of the causes",
                old=key,
            )
    made = [
        reader.cause((*path, "causes", name), name, one)
        for name, one in shape.causes.items()
    ]
    return Dropout(tuple(one for one in made if one is not None))


@dataclass(frozen=True)
class _Reader:
    """Read one cause after another."""

    arms: tuple[str, ...]
    known: Known
    faults: Faults

    def cause(self, path: Path_, name: str, shape: CauseShape) -> Cause | None:
        """Read a cause; None if anything in it is wrong."""
        before = len(self.faults.entries)
        shared = [key for key in _SHARE if getattr(shape, key) is not None]
        rated = [key for key in _HAZARD if getattr(shape, key) is not None]
        if shared and rated:
            self.faults.add(
                (*path, rated[0]),
                found=f"`{rated[0]}` beside `{shared[0]}`",
                allowed="either `share` and `by`, or `hazard`",
            )
            return None
        if not shared and not rated:
            self.faults.add(
                path,
                found="without a hazard",
                allowed="`{share: 15 %, by: week 72}`, `{hazard: 0.01 / month}`, or an "
                'equation: `{hazard: "0.02 + 0.1 * (anc < 0.5)", per: month}`',
            )
            return None
        made = self._shared(path, shape) if shared else self._rated(path, shape)
        if made is None or len(self.faults.entries) > before:
            return None
        hazards, equation, words = made
        return Cause(name, hazards, equation, words)

    def _shared(self, path: Path_, shape: CauseShape) -> Any:
        """Read the constant hazard at which a share has left by a time."""
        lacks = [key for key in _SHARE if getattr(shape, key) is None]
        if lacks:
            such = {"share": "share: 15 %", "by": "by: week 72"}[lacks[0]]
            self.faults.add((*path, lacks[0]), found="missing", allowed=f"`{such}`")
            return None
        try:
            by = moment(str(shape.by), cycle=self.known.cycle)
        except ProtocolError as error:
            self.faults.relay((*path, "by"), error)
            return None
        hazards = []
        for name, at, words in self._by_arm(path, "share", shape.share):
            try:
                share = share_in(words)
            except ProtocolError as error:
                self.faults.relay(at, error)
                return None
            if share == 1 or not by > 0:
                self.faults.add(
                    (*path, "share"),
                    found=f"{words} by {shape.by}",
                    allowed="less than all, after the start, such as "
                    "`{share: 15 %, by: week 72}`",
                )
                return None
            hazards.append((name, -math.log1p(-share) / by))
        said = f"{_said(shape.share)} by {shape.by}, at a constant hazard"
        return self._in_order(hazards), None, said

    def _rated(self, path: Path_, shape: CauseShape) -> Any:
        """Read a rate, or an equation of one by a time."""
        if shape.hazard is None:
            such = "`hazard: 0.01`, or an equation"
            self.faults.add((*path, "hazard"), found="missing", allowed=such)
            return None
        each = self._by_arm(path, "hazard", shape.hazard)
        if shape.per is None:
            return self._rates(each, _said(shape.hazard))
        try:
            per = rate_in(f"1 / {shape.per}")
        except ProtocolError:
            self.faults.add(
                (*path, "per"),
                found=f"`{shape.per}`",
                allowed="a time that a hazard is by: h, d, week, month or year",
            )
            return None
        said = f"{_said(shape.hazard)} per {shape.per}"
        found = [_number(words) for _, _, words in each]
        numbers = [number for number in found if number is not None]
        if len(numbers) == len(each):
            for (_, at, _), number in zip(each, numbers, strict=True):
                self._positive(at, number)
            names = [name for name, _, _ in each]
            rates = [number * per for number in numbers]
            return self._in_order(list(zip(names, rates, strict=True))), None, said
        if isinstance(shape.hazard, dict):
            _, at, words = each[found.index(None)]
            self.faults.add(
                at,
                found=f"`{words}`",
                allowed="a number; an equation holds in all arms: "
                '`hazard: "0.1 * (anc < 0.5)"`',
            )
            return None
        equation = self._equation((*path, "hazard"), str(shape.hazard))
        return (per,) * len(self.arms), equation, said

    def _rates(self, each: list[Any], said: str) -> Any:
        """Read rates by a time."""
        hazards = []
        for name, at, words in each:
            try:
                hazards.append((name, rate_in(words, such=_SUCH)))
            except ProtocolError:
                self.faults.add(
                    at,
                    found=f"`{words}`",
                    allowed=f"a rate of 0 or above: a number by a time, such as "
                    f"`{_SUCH}`, or an equation beside `per: month`",
                )
        return self._in_order(hazards), None, said

    def _equation(self, at: Path_, text: str) -> Expression | None:
        """Read an equation of a hazard, and what it names."""
        model = self.known.model
        if model is None:
            return None
        if model.flow is not None:
            self.faults.add(
                at,
                found="an equation, and the model is a flow, whose days are no course",
                allowed=f"a rate, such as `{_SUCH}`",
            )
            return None
        try:
            equation = parse_expression(text)
        except ModelError as error:
            self.faults.relay(at, error)
            return None
        outputs = [output.name for output in model.outputs]
        there = [*outputs, *sorted(self.known.covariates), *CLOCK]
        for name in dict.fromkeys(one.name for one in names_in(equation)):
            if name in model.states and name not in there:
                self.faults.add(
                    at,
                    found=f"`{name}`, a state that is no output",
                    allowed=f"an output ({', '.join(outputs)}), a covariate, `t` or "
                    f"`day`; `outputs: {{{name}: {{}}}}` in the model makes it one",
                    old=name,
                )
            elif name not in there:
                self.faults.unknown(at, name, there, "output or covariate")
        if all(name.name in there for name in names_in(equation)):
            self._never_negative(at, equation)
        return equation

    def _never_negative(self, at: Path_, equation: Expression) -> None:
        """Refuse what is below 0 and never above it, whatever its names stand for."""
        names = sorted({name.name for name in names_in(equation)})
        draw = np.random.default_rng(0)
        size = (len(names), _TRIED)
        tried = 10.0 ** draw.uniform(-4, 4, size) * draw.choice([-1.0, 1.0], size)
        values = dict(zip(names, tried, strict=True))
        found = np.asarray(evaluate(equation, values))
        if (found < 0).any() and not (found > 0).any():
            self._positive(at, float(found.min()), varies=bool(names))

    def _positive(self, at: Path_, number: float, *, varies: bool = False) -> None:
        """Refuse a hazard below 0."""
        if not number >= 0:
            self.faults.add(
                at,
                found="never above 0" if varies else f"{number:g}",
                allowed="a hazard of 0 or above",
            )

    def _by_arm(self, path: Path_, key: str, given: Any) -> list[Any]:
        """Return name, place and words of each arm that is given."""
        at = (*path, key)
        if not isinstance(given, dict):
            return [(name, at, given) for name in self.arms]
        for name in given:
            if name not in self.arms:
                self.faults.unknown(at, name, self.arms, "arm")
        return [(name, (*at, name), given[name]) for name in self.arms if name in given]

    def _in_order(self, hazards: list[tuple[str, float]]) -> tuple[float, ...]:
        """Return a hazard for every arm, 0 where none is given."""
        named = dict(hazards)
        return tuple(named.get(name, 0.0) for name in self.arms)


def _number(words: float | str) -> float | None:
    """Return a number that stands alone; None if it is an equation."""
    try:
        return float(words)
    except ValueError:
        return None


def _said(given: Any) -> str:
    """Write what is given, by arm if it is."""
    if not isinstance(given, dict):
        return str(given)
    return ", ".join(f"{words} in {name}" for name, words in given.items())
