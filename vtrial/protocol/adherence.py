"""Adherence: which doses subjects take, when, and which visits they come to."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from vtrial.errors import ProtocolError
from vtrial.protocol.adherence_shape import AdherenceShape
from vtrial.protocol.faults import Faults
from vtrial.protocol.rates import rate_in
from vtrial.protocol.times import duration
from vtrial.protocol.values import share_in
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed, nearest

ENOUGH = 1e-6  # by which the probabilities of a row may miss 1


@dataclass(frozen=True)
class Adherence:
    """How subjects of an arm take what they are given; it changes expanded doses.

    Fields
    ------
    transitions
        Probabilities from each state (row) to the next, from one time of dosing to the
        next; in the first state doses are taken, in the others not. One state and
        `taken` below 1: independent.
    taken
        Probability of taking a dose in the first state.
    between
        (from, to, standard deviation) of a transition's logit between subjects.
    stop
        [1/h] Hazard of never taking anything again.
    jitter
        [h] How far a dose may be from its time, either way.
    visits
        Share of the visits that a subject comes to.
    states
        The names of the states.
    """

    transitions: tuple[tuple[float, ...], ...] = ((1.0,),)
    taken: float = 1.0
    between: tuple[tuple[int, int, float], ...] = ()
    stop: float = 0.0
    jitter: float = 0.0
    visits: float = 1.0
    states: tuple[str, ...] = ("take",)

    @property
    def doses(self) -> bool:
        """Whether doses may be missed or moved."""
        chain = len(self.states) > 1
        return chain or self.taken < 1 or self.stop > 0 or self.jitter > 0


def read_adherence(
    path: Path_, shape: AdherenceShape | None, gap: float, faults: Faults
) -> Adherence | None:
    """Read how an arm's subjects take their doses, which are `gap` [h] apart at least.

    None without a word, or where anything in it is wrong.
    """
    if shape is None:
        return None
    before = len(faults.entries)
    states = tuple(shape.states)
    twice = [name for name in states if states.count(name) > 1]
    if twice:
        faults.add(
            (*path, "states"),
            found=f"`{twice[0]}` twice",
            allowed="states with names of their own",
        )
    rows = _transitions(path, shape, faults)
    between = _between(path, shape, states, faults)
    shares = []
    for key in ("taken", "visits"):
        try:
            shares.append(share_in(getattr(shape, key)))
        except ProtocolError as error:
            faults.relay((*path, key), error)
            shares.append(1.0)
    stop = _hazard((*path, "stop"), shape.stop, faults)
    jitter = _jitter((*path, "jitter"), shape.jitter, gap, faults)
    if len(faults.entries) > before:
        return None
    return Adherence(
        rows or ((1.0,),),
        shares[0],
        between,
        stop,
        jitter,
        shares[1],
        states or ("take",),
    )


def _transitions(
    path: Path_, shape: AdherenceShape, faults: Faults
) -> tuple[tuple[float, ...], ...]:
    """Read the probabilities of going from state to state."""
    size = len(shape.states)
    at = (*path, "transitions")
    if not size and not shape.transitions:
        return ()
    if len(shape.transitions) != size:
        faults.add(
            at,
            found=f"{_counted(len(shape.transitions), 'row')} for "
            f"{_counted(size, 'state')}",
            allowed="`states`, and a row for each: probabilities of the next one",
        )
        return ()
    for place, row in enumerate(shape.transitions):
        name = shape.states[place]
        if len(row) != size or any(not 0 <= p <= 1 for p in row):
            faults.add(
                (*at, place),
                found=f"{row}",
                allowed=f"{size} probabilities from 0 to 1, of going from `{name}` to "
                + listed(shape.states),
            )
        elif abs(math.fsum(row) - 1) > ENOUGH:
            faults.add(
                (*at, place),
                found=f"{row}, which sum to {math.fsum(row):.6g}",
                allowed="probabilities that sum to 1",
            )
    return tuple(map(tuple, shape.transitions))


def _counted(number: int, thing: str) -> str:
    """Write a number of things."""
    return f"{number} {thing}{'s'[: number != 1]}"


def _between(
    path: Path_, shape: AdherenceShape, states: Sequence[str], faults: Faults
) -> tuple[tuple[int, int, float], ...]:
    """Read how far transitions differ between subjects, by `take to holiday`."""
    found = []
    for words, spread in shape.between.items():
        parts = words.split(" to ")
        if len(parts) != 2 or any(part not in states for part in parts):
            faults.add(
                (*path, "between", words),
                found=f"`{words}`",
                allowed="two states, as in `take to holiday`; there are "
                + (listed(states) or "none"),
                write=_pair(words, states),
                old=words,
            )
            continue
        first, second = (states.index(part) for part in parts)
        if first >= len(shape.transitions) or second >= len(shape.transitions[first]):
            continue  # there is no such probability, which is told
        if not 0 < shape.transitions[first][second] < 1:
            faults.add(
                (*path, "between", words),
                found=f"of a probability of {shape.transitions[first][second]:g}",
                allowed="of one between 0 and 1, which has a logit",
            )
        found.append((first, second, spread))
    return tuple(found)


def _pair(words: str, states: Sequence[str]) -> str:
    """Write two states as they are parted here; "" where two are not named."""
    parts = re.split(r"\s*(?:->|→|>|=>)\s*|\s+to\s+", words)
    parts = [part if part in states else nearest(part, states) for part in parts]
    return " to ".join(parts) if len(parts) == 2 and all(parts) else ""


def _hazard(path: Path_, words: float | str | None, faults: Faults) -> float:
    """Read a hazard [1/h]; 0 if there is none."""
    if words is None:
        return 0.0
    try:
        return rate_in(words)
    except ProtocolError as error:
        faults.relay(path, error)
        return 0.0


def _jitter(path: Path_, words: str | None, gap: float, faults: Faults) -> float:
    """Read how far doses may be from their times: less than half of a gap."""
    if words is None:
        return 0.0
    try:
        jitter = duration(words)
    except ProtocolError as error:
        signed = re.fullmatch(r"\s*(±|\+/?-)\s*(.+)", words)
        if not signed:
            faults.relay(path, error)
            return 0.0
        faults.add(
            path,
            found=f"`{words}`",
            allowed="a duration without a sign: doses are early or late by it",
            write=signed[2],
        )
        return 0.0
    if gap and jitter >= gap / 2:
        faults.add(
            path,
            found=f"`{words}`, with doses {gap:g} h apart",
            allowed="less than half of what lies between two doses",
        )
    return jitter
