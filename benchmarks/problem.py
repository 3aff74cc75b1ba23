"""A workload's subjects in numbers, as every peer is given them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.translate import load_source, python_source
from benchmarks.workloads import WORKLOADS, Crowd, model_of

Outputs = dict[str, np.ndarray]


class Tolerance(NamedTuple):
    """How accurately; `bits` are vtrial's, `method` and `chunk` are diffrax's."""

    rtol: float = 1e-6
    atol: float = 1e-8
    bits: int = 64
    method: str = "Tsit5"
    chunk: int = 64


class Segments(NamedTuple):
    """Between doses and ends of infusions: (1 or subject, segment).

    Observations `first` to `last` are in the segment, its end included; those before
    the first dose of all see the initial state.
    """

    begin: np.ndarray
    end: np.ndarray
    bolus: np.ndarray
    rate: np.ndarray
    first: np.ndarray
    last: np.ndarray


class Problem(NamedTuple):
    """A crowd in numbers: parameters and initial states, both by subject."""

    parameters: np.ndarray
    start: np.ndarray
    segments: Segments
    observe: Callable[[np.ndarray], Outputs]


def problem_of(name: str, group: Crowd) -> Problem:
    """Compute what every peer needs."""
    model, work = model_of(name), WORKLOADS[name]
    written = load_source(python_source(model, "numpy"), f"{name}_numpy")
    given = [group.values[p.name] for p in model.parameters]
    computed = [np.broadcast_to(c, group.size) for c in written.constants(given)]
    started = [np.broadcast_to(s, group.size) for s in written.initial(computed)]
    columns = [value[:, None] for value in computed]

    def observe(states: np.ndarray) -> Outputs:
        states = np.moveaxis(states, -1, 0)
        seen = written.observe(group.observations, list(states), columns)
        return dict(zip(work.outputs, seen, strict=True))

    found = [
        _segments(doses, work.amount, work.rate, times)
        for doses, times in zip(group.doses, group.observations, strict=True)
    ]
    segments = Segments(*(np.stack(part) for part in zip(*found, strict=True)))
    return Problem(np.stack(computed, 1), np.stack(started, 1), segments, observe)


def _segments(
    doses: np.ndarray, amount: float, rate: float, times: np.ndarray
) -> Segments:
    """Cut one subject's time at doses, ends of infusions, and the last observation."""
    ends = doses + amount / rate if rate else doses
    breaks = np.unique(np.concatenate([[0.0], doses, ends, times[-1:]]))
    begin, end = breaks[:-1], breaks[1:]
    on = (doses[:, None] <= begin) & (begin < ends[:, None])
    given = (doses[:, None] == begin).sum(axis=0)
    return Segments(
        begin,
        end,
        given * (0.0 if rate else amount),
        on.sum(axis=0) * rate,
        np.searchsorted(times, begin, side="right"),
        np.searchsorted(times, end, side="right"),
    )
