"""Models and doses for the solver's tests, by hand."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from vtrial.dosing.doses import Doses
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Output, Parameter

ORAL = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - CL/V*central
conc = central/V
"""
THREE = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - (CL + Q + Q3)/V*central + Q/V2*rim + Q3/V3*edge
d/dt(rim) = Q/V*central - Q/V2*rim
d/dt(edge) = Q3/V*central - Q3/V3*edge
conc = central/V
"""
SATURABLE = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - VMAX*central/V/(KM + central/V)
conc = central/V
"""
FRIBERG = """
k = 4/MTT
conc = central/V
d/dt(central) = -CL/V*central
d/dt(prol) = k*prol*((1 - SLOPE*conc)*(BASE/circ)^0.16 - 1)
d/dt(t1) = k*(prol - t1)
d/dt(circ) = k*(t1 - circ)
init(prol) = BASE
init(t1) = BASE
init(circ) = BASE
"""


def make_model(text, *, outputs=("conc",), nonnegative=(), **parameters):
    return Model(
        "made-up",
        parse_model(text),
        parameters=tuple(Parameter(k, float(v)) for k, v in parameters.items()),
        outputs=tuple(Output(name, name) for name in outputs),
        nonnegative=nonnegative,
    )


MODELS = {
    "oral": make_model(ORAL, KA=1.0, CL=5.0, V=50.0),
    "three": make_model(THREE, KA=0.8, CL=5, V=20, Q=8, V2=60, Q3=1, V3=100),
    "saturable": make_model(SATURABLE, KA=1.0, VMAX=10.0, KM=2.0, V=20.0),
    "friberg": make_model(
        FRIBERG,
        outputs=("conc", "circ"),
        CL=10.0,
        V=20.0,
        MTT=90.0,
        SLOPE=0.3,
        BASE=5.0,
    ),
}


def make_doses(time, amount, **fields):
    """Make doses of shared times: lists become one row."""
    rows = {"time": time, "amount": amount} | fields
    rows = {k: np.atleast_2d(np.asarray(v, float)) for k, v in rows.items()}
    shape = np.broadcast_shapes(*(v.shape for v in rows.values()))

    def full(name, filler, kind=float):
        given = rows.get(name, np.full((1, 1), filler))
        return np.broadcast_to(given, shape).astype(kind)

    return Doses(
        time=full("time", 0.0),
        amount=full("amount", 0.0),
        compartment=full("compartment", 0, int),
        rate=full("rate", 0.0),
        interval=full("interval", 0.0),
        steady=full("steady", 0, int),
        event=full("event", 1, int),
        rank=full("rank", 1, int),
    )


def spread(model, subjects, *, seed=3, width=0.3):
    """Draw parameters around the typical ones."""
    rng = np.random.default_rng(seed)
    return {
        name: value * np.exp(width * rng.normal(size=subjects))
        for name, value in model.typical().items()
    }


def integrate(slopes, state, begin, end, *, method="DOP853"):
    """Integrate to high accuracy by other software."""
    if end <= begin:
        return np.asarray(state, float)
    solved = solve_ivp(slopes, (begin, end), state, method, rtol=1e-12, atol=1e-13)
    return solved.y[:, -1]


@pytest.fixture(scope="session")
def made():
    """Everything above, for tests that cannot import it."""
    return type(
        "Made",
        (),
        {
            "model": staticmethod(make_model),
            "doses": staticmethod(make_doses),
            "spread": staticmethod(spread),
            "integrate": staticmethod(integrate),
            "models": MODELS,
        },
    )
