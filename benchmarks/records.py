"""Random event tables, and what they lead to by sums of exponentials or by SciPy.

A table is one subject's records in NONMEM's format: boluses, infusions by RATE, by the
model's rate (-1) or duration (-2), with lag and bioavailability, additional doses,
steady states that replace or are added, constant infusions at steady state, resets,
ties. What the records mean is written here once more, from NONMEM's guide.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.family import Slopes
from benchmarks.oracle import accurate, draw_number, integrate

Row = dict[str, float]
COLUMNS = ("TIME", "EVID", "AMT", "CMT", "RATE", "II", "ADDL", "SS")
PROPERTIES = ("BIO", "LAG", "RAT", "DUR")
SETTLED = 1e-12  # change from interval to interval, of the peak
LONGEST = 5000  # intervals
SAME = 1e-9  # [h] as near as one moment is to itself


class Table(NamedTuple):
    """A subject's numbers (parameters and properties of doses by place) and records."""

    numbers: dict[str, float]
    rows: list[Row]


class Pulse(NamedTuple):
    """Something that enters: a bolus at `start` (rate 0), or a rate until `end`.

    With `every` above 0 it is the last of an endless past of such pulses.
    """

    place: int
    start: float
    end: float
    amount: float
    rate: float
    every: float = 0.0

    def since(self, time: float) -> "Pulse":
        """Count its time from another zero."""
        return self._replace(start=self.start - time, end=self.end - time)


@dataclass(frozen=True)
class Structure:
    """Compartments that tables are about; saturable elimination is not linear."""

    name: str
    rims: int
    oral: bool
    saturable: bool = False

    @property
    def states(self) -> tuple[str, ...]:
        """Name the compartments, the depot first."""
        rims = ("rim", "edge")[: self.rims]
        return (*(("depot",) * self.oral), "central", *rims)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return lowest and highest values of the parameters."""
        found = {"V": (5.0, 80.0)}
        found |= {"KA": (0.1, 4.0)} if self.oral else {}
        if self.saturable:
            found |= {"VMAX": (20.0, 200.0), "KM": (0.1, 20.0)}
        else:
            found |= {"CL": (0.5, 30.0)}
        rims = {"Q": (0.2, 30.0), "V2": (3.0, 200.0)}, {"Q3": (0.1, 5.0)}
        for more in (*rims, {"V3": (3.0, 200.0)})[: (0, 1, 3)[self.rims]]:
            found |= more
        return found

    @property
    def text(self) -> str:
        """Write the sheet's equations."""
        lines = [f"{kind}({s}) = {name}{i}" for i, s, kind, name in self._given()]
        loss = "VMAX*conc/(KM + conc)" if self.saturable else "CL*conc"
        into, out = ("KA*depot - " if self.oral else "-"), loss
        if self.rims > 0:
            out += " - Q*conc + Q/V2*rim"
        if self.rims > 1:
            out += " - Q3*conc + Q3/V3*edge"
        lines += ["conc = central/V"]
        lines += ["d/dt(depot) = -KA*depot"] if self.oral else []
        lines += [f"d/dt(central) = {into}{out}"]
        lines += ["d/dt(rim) = Q*conc - Q/V2*rim"] if self.rims > 0 else []
        lines += ["d/dt(edge) = Q3*conc - Q3/V3*edge"] if self.rims > 1 else []
        return "\n".join(lines)

    def _given(self) -> list[tuple[int, str, str, str]]:
        kinds = list(zip(("F", "lag", "rate", "duration"), PROPERTIES, strict=True))
        places = list(enumerate(self.states[: self.dosed]))
        return [(i, state, k, name) for i, state in places for k, name in kinds]

    @property
    def dosed(self) -> int:
        """Count the compartments, from the first, that doses go into."""
        return 2 if self.oral else 1

    def matrix(self, p: dict[str, float]) -> np.ndarray:
        """Return the rate matrix of the linear part."""
        n, c = len(self.states), self.states.index("central")
        found = np.zeros((n, n))
        if self.oral:
            found[0, 0], found[c, 0] = -p["KA"], p["KA"]
        if not self.saturable:
            found[c, c] -= p["CL"] / p["V"]
        for i, (flow, volume) in enumerate((("Q", "V2"), ("Q3", "V3"))[: self.rims], 1):
            found[c, c] -= p[flow] / p["V"]
            found[c + i, c] = p[flow] / p["V"]
            found[c, c + i] = p[flow] / p[volume]
            found[c + i, c + i] = -p[flow] / p[volume]
        return found

    def slopes(self, p: dict[str, float], rate: np.ndarray) -> Slopes:
        """Return derivatives under infusions."""
        matrix, c = self.matrix(p), self.states.index("central")
        rows = [[float(x) for x in row] for row in matrix]
        given, vmax = [float(x) for x in rate], p.get("VMAX", 0.0)
        half = p.get("KM", 1.0) * p["V"]

        def slopes(_: float, y: list[float]) -> list[float]:
            found = [
                r + sum(a * x for a, x in zip(row, y, strict=True))
                for row, r in zip(rows, given, strict=True)
            ]
            found[c] -= vmax * y[c] / (half + y[c])
            return found

        return slopes


def draw_table(structure: Structure, seed: list[int]) -> Table:
    """Draw a subject and its records."""
    rng = np.random.default_rng(seed)
    numbers = {k: draw_number(rng, *ends) for k, ends in structure.ranges.items()}
    for i in range(structure.dosed):
        lag = round(draw_number(rng, 0.05, 20.0), 5) + 3e-6
        numbers[f"BIO{i}"] = round(float(rng.uniform(0.3, 1.2)), 3)
        numbers[f"LAG{i}"] = lag if rng.random() < 0.5 else 0.0
        numbers[f"RAT{i}"] = draw_number(rng, 0.1, 100.0)
        numbers[f"DUR{i}"] = draw_number(rng, 0.1, 20.0)
    time = 0.0 if rng.random() < 0.7 else round(float(rng.exponential(5.0)), 3)
    rows = []
    for i in range(int(rng.integers(12, 22))):
        if i > 0 and rng.random() > 0.25:
            step = rng.exponential(6.0)
            step = round(step) if rng.random() < 0.2 else step
            time = round(time + float(step), 3)
        is_dose = i == 0 or rng.random() < 0.3
        rows.append(_draw_dose(structure, rng, numbers) if is_dose else _other(rng))
        rows[-1]["TIME"] = time
    return Table(numbers, rows)


def _other(rng: np.random.Generator) -> Row:
    """Draw a record that gives nothing: an observation, another event, a reset."""
    row = dict.fromkeys(COLUMNS, 0.0)
    return row | {"CMT": 1.0, "EVID": float(rng.choice([0, 2, 3], p=[0.85, 0.1, 0.05]))}


def _draw_dose(
    structure: Structure, rng: np.random.Generator, numbers: dict[str, float]
) -> Row:
    """Draw a dose's record."""
    place = int(rng.integers(structure.dosed))
    row = dict.fromkeys(COLUMNS, 0.0) | {"CMT": place + 1.0, "EVID": 1.0}
    row["AMT"] = round(draw_number(rng, 5.0, 1000.0), 3)
    row["RATE"] = float(rng.choice([0, 1, -1, -2], p=[0.4, 0.25, 0.2, 0.15]))
    if row["RATE"] == 1:
        row["RATE"] = round(draw_number(rng, 1.0, 200.0), 3)
    row["EVID"] = float(rng.choice([1, 4], p=[0.92, 0.08]))
    row["SS"] = float(rng.choice([0, 1, 2], p=[0.6, 0.25, 0.15]))
    if row["SS"] or rng.random() < 0.4:
        interval = draw_number(rng, 3.0, 24.0)
        row["II"] = float(round(interval)) if rng.random() < 0.4 else round(interval, 3)
        row["ADDL"] = float(rng.integers(0 if row["SS"] else 1, 6))
    if row["SS"] == 1 and numbers[f"LAG{place}"] == 0 and rng.random() < 0.2:
        row |= {"AMT": 0.0, "II": 0.0, "ADDL": 0.0}
        row["RATE"] = row["RATE"] if row["RATE"] > 0 else -1.0
    if structure.saturable and row["SS"]:
        _bear(row, numbers, place)
    return row


def _bear(row: Row, numbers: dict[str, float], place: int) -> None:
    """Lessen a dose whose repetition would fill the body without end."""
    most = 0.6 * numbers["VMAX"]
    if row["AMT"] == 0:
        row["RATE"] = round(0.3 * numbers["VMAX"], 3)
        return
    given = row["AMT"] * numbers[f"BIO{place}"] / row["II"]
    row["AMT"] = round(row["AMT"] * min(1.0, most / given), 3)


def pulses_of(row: Row, numbers: dict[str, float]) -> list[Pulse]:
    """Say what a dose's record lets enter, additional doses included."""
    place, time = int(row["CMT"]) - 1, row["TIME"]
    amount, rate = row["AMT"] * numbers[f"BIO{place}"], row["RATE"]
    if row["AMT"] == 0:  # a constant infusion, until now
        rate = numbers[f"RAT{place}"] if rate == -1 else rate
        return [Pulse(place, -math.inf, time, 0.0, rate)]
    lasts = 0.0
    if rate == -2:
        lasts = numbers[f"DUR{place}"]
    elif rate:
        lasts = amount / (numbers[f"RAT{place}"] if rate == -1 else rate)
    rate = amount / lasts if lasts else 0.0
    start = time + numbers[f"LAG{place}"]
    one = Pulse(place, start, start + lasts, amount, rate)
    more = [row["II"] * k for k in range(1, int(row["ADDL"]) + 1)]
    later = [one._replace(start=start + t, end=one.end + t) for t in more]
    return [one._replace(every=row["II"] if row["SS"] else 0.0), *later]


def is_observed(row: Row) -> bool:
    """Say whether a prediction is given at a record."""
    return row["EVID"] in (0, 2)


def predict_linear(structure: Structure, table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return concentrations at the observed records, and their sizes so far."""
    values, vectors = np.linalg.eig(structure.matrix(table.numbers))
    inverse, c = np.linalg.inv(vectors), structure.states.index("central")
    weights = vectors[c][:, None] * inverse / table.numbers["V"]  # (mode, place)

    def seen(pulses: list[Pulse], time: float) -> float:
        parts = [_modes(p, values, time) @ weights[:, p.place] for p in pulses]
        return float(np.real(sum(parts)))

    found, sizes, size, live = [], [], 0.0, []
    rows = table.rows
    for i, row in enumerate(rows):
        if row["EVID"] in (3, 4) or row["SS"] == 1:
            live = []
        if row["EVID"] in (1, 4):
            live = [*live, *pulses_of(row, table.numbers)]
        value = seen(live, row["TIME"])
        if is_observed(row):
            found.append(value)
            sizes.append(max(size, abs(value)))
        until = rows[i + 1]["TIME"] if i + 1 < len(rows) else row["TIME"]
        grid = np.linspace(row["TIME"], until, 12)
        size = max(size, *(abs(seen(live, t)) for t in grid))
    return np.array(found), np.array(sizes)


def _modes(pulse: Pulse, values: np.ndarray, time: float) -> np.ndarray:
    """Return what is left of a pulse, and of those before it, in each mode."""
    total, shift = np.zeros(len(values), values.dtype), 0.0
    while True:
        start, end = pulse.start - shift, pulse.end - shift
        over, begun = time >= end - SAME, time >= start - SAME
        gone = np.exp(values * max(time - start, 0.0)) * begun
        if pulse.rate:
            left = np.exp(values * max(time - end, 0.0)) * begun
            gone = pulse.rate * (gone - left) / values
        else:
            gone = pulse.amount * gone
        if not pulse.every:
            return total + gone
        if over:  # and so were all before
            return total + gone / -np.expm1(values * pulse.every)
        total, shift = total + gone, shift + pulse.every


class Body:
    """A body that is walked through in time: state, running rates, what is to come."""

    def __init__(self, structure: Structure, numbers: dict[str, float]) -> None:
        self.structure, self.numbers, self.time, self.peak = (
            structure,
            numbers,
            0.0,
            0.0,
        )
        self.clear()

    def clear(self) -> None:
        """Empty it, and cancel what runs and what was to come."""
        size = len(self.structure.states)
        self.state, self.rate = np.zeros(size), np.zeros(size)
        self.pending: list[tuple[float, int, float, float]] = []

    def add(self, pulse: Pulse) -> None:
        """Let a pulse enter; what of an infusion is over by now is left out."""
        if not pulse.rate:
            self.pending.append((pulse.start, pulse.place, pulse.amount, 0.0))
            return
        start = max(pulse.start, self.time)
        self.pending.append((start, pulse.place, 0.0, pulse.rate))
        self.pending.append((pulse.end, pulse.place, 0.0, -pulse.rate))

    def advance(self, until: float, *, past: bool = True) -> None:
        """Go on until a time, and past what happens at it, or not."""
        within = until + (SAME if past else -SAME)
        while True:
            self.pending.sort(key=lambda event: event[0])
            if not self.pending or self.pending[0][0] > within:
                self._flow(until)
                return
            due, place, amount, rate = self.pending.pop(0)
            self._flow(min(due, until))
            self.state[place] += amount
            self.rate[place] += rate
            self._look()

    def _flow(self, until: float) -> None:
        if until <= self.time:
            return
        rate = np.where(self.rate > 1e-9, self.rate, 0.0)  # what rounding leaves
        slopes = self.structure.slopes(self.numbers, rate)
        points = np.linspace(self.time, until, 4)
        found = integrate(slopes, self.state, points, how=accurate("lsoda"))
        self.time = until
        for state in found:
            self.state = state.copy()
            self._look()

    def _look(self) -> None:
        place = self.structure.states.index("central")
        self.peak = max(self.peak, abs(self.state[place]) / self.numbers["V"])


def settle(structure: Structure, numbers: dict[str, float], pulse: Pulse) -> np.ndarray:
    """Return the state that an endless past of a regimen leads to.

    It is that at an interval's end, before the dose that begins the next. Time is
    counted from the beginning of some interval.
    """
    body = Body(structure, numbers)
    if math.isinf(pulse.start):
        every, phase, lasts = 24.0, 0.0, 24.0
    else:
        every, lasts = pulse.every, pulse.end - pulse.start
        phase = pulse.start % every
    for k in range(LONGEST):
        start = k * every + phase
        body.add(pulse._replace(start=start, end=start + lasts))
        before = body.state.copy()
        body.advance((k + 1) * every, past=False)
        change = np.abs(body.state - before).max()
        if k > lasts / every + 2 and change <= SETTLED * body.peak * numbers["V"]:
            return body.state
    raise ArithmeticError("no steady state")


def predict_saturable(
    structure: Structure, table: Table
) -> tuple[np.ndarray, np.ndarray]:
    """Return concentrations at the observed records, and their sizes so far."""
    body, found, sizes = Body(structure, table.numbers), [], []
    place = structure.states.index("central")
    for row in table.rows:
        time = row["TIME"]
        body.advance(time)
        if row["EVID"] in (3, 4):
            body.clear()
        if row["EVID"] in (1, 4):
            _give(body, row)
            body.advance(time)
        if is_observed(row):
            found.append(body.state[place] / table.numbers["V"])
            sizes.append(body.peak)
    return np.array(found), np.array(sizes)


def _give(body: Body, row: Row) -> None:
    """Let a dose's record act, with the past that its steady state stands for."""
    first, *later = pulses_of(row, body.numbers)
    if row["SS"]:
        settled = settle(body.structure, body.numbers, first.since(row["TIME"]))
        if row["SS"] == 1:
            body.clear()
        body.state = body.state + settled
    if first.every:
        shift = first.every
        while max(first.end, first.start) - shift > body.time + SAME:
            body.add(first._replace(start=first.start - shift, end=first.end - shift))
            shift += first.every
    for pulse in (first, *later):
        if math.isfinite(pulse.start):
            body.add(pulse)
