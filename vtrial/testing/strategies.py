"""Hypothesis strategies: expressions, models, individuals, doses, observations."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from vtrial.dosing.doses import Doses
from vtrial.model.model import Model
from vtrial.model.tree import Call, Expression, Name, Number
from vtrial.testing.pool import EFFECTS, body, drugged

Numbers = float | np.ndarray
Draw = Callable[..., Any]  # what Hypothesis hands to a composite strategy


def expressions(
    names: tuple[str, ...], *, most: int = 12
) -> st.SearchStrategy[Expression]:
    """Draw arithmetic in some names, smooth for positive values of them."""
    leaves = st.one_of(
        st.floats(0.1, 5.0).map(lambda value: Number(round(value, 3))),
        st.sampled_from(names).map(Name),
    )

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        pairs = st.tuples(st.sampled_from("+*/"), inner, inner)
        alone = st.tuples(st.sampled_from(["sqrt", "log1p", "tanh"]), inner)
        return st.one_of(
            pairs.map(lambda drawn: Call(drawn[0], (drawn[1], drawn[2]))),
            alone.map(lambda drawn: Call(drawn[0], (drawn[1],))),
        )

    return st.recursive(leaves, grow, max_leaves=most)


def bodies() -> st.SearchStrategy[Model]:
    """Draw a linear body: one to three compartments, with or without a depot."""
    return st.sampled_from(
        [body(rims, oral) for rims in range(3) for oral in (False, True)]
    )


def drugs() -> st.SearchStrategy[Model]:
    """Draw a body in which a drug has some effect, or leaves by saturable ways."""
    return st.builds(
        drugged, st.sampled_from(sorted(EFFECTS)), st.integers(0, 2), st.booleans()
    )


def individuals(model: Model, *, subjects: int = 3) -> st.SearchStrategy[dict]:
    """Draw inputs within a factor of three of the typical ones, (subject) each."""
    factors = st.floats(float(np.log(1 / 3)), float(np.log(3.0)))
    drawn = st.lists(factors, min_size=subjects, max_size=subjects).map(np.exp)
    return st.fixed_dictionaries(
        {name: _times(drawn, value) for name, value in model.typical().items()}
    )


def _times(
    drawn: st.SearchStrategy[np.ndarray], value: float
) -> st.SearchStrategy[np.ndarray]:
    return drawn.map(lambda factors: value * factors)


@st.composite
def schedules(draw: Draw, *, most: int = 4, horizon: float = 48.0) -> Doses:
    """Draw boluses and infusions into the first state, shared by all subjects.

    There are `most` doses at most, the rest is padding; one is an infusion at least,
    so that all draws need the same program.
    """
    number = draw(st.integers(1, most))
    quarters = st.integers(0, int(horizon * 4))
    time = np.sort([draw(quarters) / 4 for _ in range(number)]).astype(float)
    amount = np.array([draw(st.floats(1.0, 100.0)) for _ in range(number)])
    lasts = np.array([draw(st.sampled_from([0.0, 0.5, 6.0])) for _ in range(number)])
    lasts[draw(st.integers(0, number - 1))] = draw(st.sampled_from([0.5, 6.0, 30.0]))
    rate = np.divide(amount, lasts, out=np.zeros(number), where=lasts > 0)
    return given_at(time, amount, rate=rate, most=most)


def given_at(
    time: Numbers, amount: Numbers, *, rate: Numbers = 0.0, most: int = 0
) -> Doses:
    """Make doses into the first state, (1, dose), padded to `most` of them; [h]."""
    known = np.broadcast_arrays(*(np.asarray(v, float) for v in (time, amount, rate)))
    width = max(most, known[0].size)
    fillers = zip(known, (np.inf, 0.0, 0.0), strict=True)
    padded = [np.append(v, np.full(width - v.size, fill)) for v, fill in fillers]
    time, amount, rate = (value[None] for value in padded)
    none = np.zeros((1, width), int)
    return Doses(time, amount, none, rate, 0.0 * rate, none, none + 1, none + 1)  # type: ignore[arg-type]


def grids(*, size: int = 8, horizon: float = 60.0) -> st.SearchStrategy[np.ndarray]:
    """Draw observation times [h], ascending; some fall on doses."""
    quarters = st.integers(0, int(horizon * 4)).map(lambda place: place / 4)
    drawn = st.lists(quarters, min_size=size, max_size=size)
    return drawn.map(lambda found: np.sort(np.array(found, float)))
