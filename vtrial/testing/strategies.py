"""Hypothesis strategies: expressions, bodies, their parameters, dose schedules."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from vtrial.dosing.doses import Doses
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Output, Parameter
from vtrial.model.tree import Call, Expression, Name, Number

Draw = Callable[..., Any]  # what Hypothesis hands to a composite strategy
RIMS = ("rim", "edge")


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
    """Draw a linear body: one to three compartments, with or without a depot.

    Parameters CL, V, KA, and Q1, V1 and so on for each peripheral compartment; the
    output is `conc` [mg/L], and doses go into the first state.
    """
    return st.sampled_from(
        [_body(RIMS[:number], oral) for number in range(3) for oral in (False, True)]
    )


@functools.cache
def _body(rims: tuple[str, ...], oral: bool) -> Model:
    """Write one body."""
    flow = "".join(
        f" - Q{k}/V*central + Q{k}/V{k}*{rim}" for k, rim in enumerate(rims, 1)
    )
    lines = ["d/dt(depot) = -KA*depot"] if oral else []
    entry = "KA*depot " if oral else ""
    lines.append(f"d/dt(central) = {entry}- CL/V*central{flow}")
    lines += [
        f"d/dt({rim}) = Q{k}/V*central - Q{k}/V{k}*{rim}"
        for k, rim in enumerate(rims, 1)
    ]
    names = ["CL", "V", *(["KA"] if oral else [])]
    names += [f"{letter}{k}" for k in range(1, len(rims) + 1) for letter in "QV"]
    return Model(
        name=f"body-{len(rims) + 1}-{'oral' if oral else 'iv'}",
        statements=parse_model("\n".join([*lines, "conc = central/V"])),
        parameters=tuple(Parameter(name, 1.0) for name in names),
        outputs=(Output("conc", "conc", "mg/L"),),
    )


def individuals(model: Model, *, subjects: int = 3) -> st.SearchStrategy[dict]:
    """Draw individual parameters of a body, (subject) each, within a factor of ten."""
    logarithms = st.floats(float(np.log(0.3)), float(np.log(3.0)))
    values = st.lists(logarithms, min_size=subjects, max_size=subjects).map(np.exp)
    return st.fixed_dictionaries(dict.fromkeys(model.inputs, values))


@st.composite
def schedules(draw: Draw, *, most: int = 4, horizon: float = 48.0) -> Doses:
    """Draw boluses and infusions into the first state, shared by all subjects."""
    number = draw(st.integers(1, most))
    quarters = st.integers(0, int(horizon * 4))
    time = np.sort([draw(quarters) / 4 for _ in range(number)]).astype(float)
    amount = np.array([draw(st.floats(1.0, 100.0)) for _ in range(number)])
    lasts = np.array([draw(st.sampled_from([0.0, 0.5, 6.0])) for _ in range(number)])
    rate = np.divide(amount, lasts, out=np.zeros(number), where=lasts > 0)
    none = jnp.zeros((1, number), int)
    return Doses(
        time=jnp.asarray(time)[None],
        amount=jnp.asarray(amount)[None],
        compartment=none,
        rate=jnp.asarray(rate)[None],
        interval=jnp.zeros((1, number)),
        steady=none,
        event=none + 1,
        rank=none + 1,
    )
