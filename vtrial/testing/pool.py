"""A small pool of models: bodies, and what a drug may do in them.

Each way of writing a model costs a compilation, so there are few; numbers vary freely.
In every model but the bare bodies a state `gone` gathers what was eliminated, so that
the states in `DRUG` together hold what was given.

References
----------
Dayneka N, Garg V, Jusko W. (1993) J Pharmacokinet Biopharm 21:457 (indirect responses).
Mager D, Jusko W. (2001) J Pharmacokinet Pharmacodyn 28:507 (binding to a target).
Friberg L et al. (2002) J Clin Oncol 20:4713 (cells in a chain).
"""

import functools
from typing import NamedTuple

from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Output, Parameter

RIMS = ("rim", "edge")
ABSORBED = "KA*depot"
CLEARED = "CL/V*central"
DRUG = {"depot", "t1", "t2", "central", "complex", "gone", *RIMS}


class DrugEffect(NamedTuple):
    """Equations beside a body's, and the numbers they need.

    `enters` is what comes into the central compartment by mouth, `leaves` what goes
    out of it, `gone` what leaves for good.
    """

    equations: str
    response: str
    numbers: dict[str, float]
    enters: str = ABSORBED
    leaves: str = CLEARED
    gone: str = CLEARED


def _turnover(production: str, loss: str, **numbers: float) -> DrugEffect:
    """Write a response that is produced and lost, the drug changing one of them."""
    return DrugEffect(
        f"d/dt(response) = {production} - {loss}\ninit(response) = KIN/KOUT",
        "response",
        {"KIN": 5.0, "KOUT": 0.5, **numbers},
    )


_DAMPED = "HALF/(HALF + conc)"
_RAISED = "(1 + EMAX*conc/(HALF + conc))"
_STEEP = "(1 + EMAX*conc^2/(HALF^2 + conc^2))"
_BINDING = """
bound = KON*central*target - KOFF*complex
d/dt(target) = KDEG*(R0 - target) - bound
d/dt(complex) = bound - KINT*complex
init(target) = R0
"""
_CHAIN = """
d/dt(prol) = KTR*prol*((1 - SLOPE*conc)*(BASE/circ)^0.16 - 1)
d/dt(ripe) = KTR*(prol - ripe)
d/dt(circ) = KTR*(ripe - circ)
init(prol) = BASE
init(ripe) = BASE
init(circ) = BASE
"""
_TRANSIT = "d/dt(t1) = KA*depot - KT*t1\nd/dt(t2) = KT*t1 - KT*t2"
_SATURABLE = "VMAX*conc/(KM + conc)"
_MICHAELIS = {"VMAX": 20.0, "KM": 5.0}

EFFECTS = {
    "elimination that saturates": DrugEffect(
        "", "conc", _MICHAELIS, leaves=_SATURABLE, gone=_SATURABLE
    ),
    "production inhibited": _turnover(f"KIN*{_DAMPED}", "KOUT*response", HALF=5.0),
    "loss inhibited": _turnover("KIN", f"KOUT*{_DAMPED}*response", HALF=5.0),
    "production stimulated": _turnover(
        f"KIN*{_RAISED}", "KOUT*response", EMAX=3.0, HALF=5.0
    ),
    "loss stimulated": _turnover("KIN", f"KOUT*{_RAISED}*response", EMAX=3.0, HALF=5.0),
    "production stimulated steeply": _turnover(
        f"KIN*{_STEEP}", "KOUT*response", EMAX=3.0, HALF=5.0
    ),
    "binding to a target": DrugEffect(
        _BINDING,
        "target",
        {"KON": 0.5, "KOFF": 0.1, "KDEG": 0.1, "R0": 10.0, "KINT": 0.05},
        leaves=f"{CLEARED} + bound",
        gone=f"{CLEARED} + KINT*complex",
    ),
    "transit to elimination that saturates": DrugEffect(
        _TRANSIT,
        "conc",
        {"KT": 1.0, **_MICHAELIS},
        enters="KT*t2",
        leaves=_SATURABLE,
        gone=_SATURABLE,
    ),
    "cells in a chain": DrugEffect(
        _CHAIN, "circ", {"KTR": 0.05, "SLOPE": 0.02, "BASE": 5.0}
    ),
}


@functools.cache
def body(rims: int, oral: bool) -> Model:
    """Write a linear body: a central compartment, up to two rims, perhaps a depot.

    Parameters CL, V, KA, and Q1, V1 and so on for each peripheral compartment, all 1;
    the output is `conc` [mg/L], and doses go into the first state.
    """
    kind = "oral" if oral else "iv"
    return Model(
        name=f"body-{rims + 1}-{kind}",
        statements=parse_model("\n".join([*_flows(rims, oral), "conc = central/V"])),
        parameters=_parameters(rims, oral, {"CL": 1.0}),
        outputs=(Output("conc", "conc", "mg/L"),),
    )


@functools.cache
def drugged(effect: str, rims: int = 0, oral: bool = False) -> Model:
    """Write a body with an effect of `EFFECTS`; its outputs are `conc` and `answer`."""
    what = EFFECTS[effect]
    oral = oral or what.enters != ABSORBED
    lines = ["conc = central/V", *what.equations.strip().splitlines()]
    split = next((i for i, s in enumerate(lines) if s.startswith("d/dt")), len(lines))
    flows = _flows(rims, oral, enters=what.enters, leaves=what.leaves)
    lines = [*lines[:split], *flows, *lines[split:], f"d/dt(gone) = {what.gone}"]
    numbers = ({"CL": 1.0} if CLEARED in what.leaves else {}) | what.numbers
    return Model(
        name=f"{effect}-{rims + 1}-{'oral' if oral else 'iv'}".replace(" ", "-"),
        statements=parse_model("\n".join(lines)),
        parameters=_parameters(rims, oral, numbers),
        outputs=(Output("conc", "conc", "mg/L"), Output("answer", what.response)),
    )


def _flows(
    rims: int, oral: bool, *, enters: str = ABSORBED, leaves: str = CLEARED
) -> list[str]:
    """Write the body's differential equations."""
    names = list(enumerate(RIMS[:rims], 1))
    out = "".join(f" - Q{k}/V*central + Q{k}/V{k}*{rim}" for k, rim in names)
    entry = f"{enters} " if oral else ""
    return [
        *(["d/dt(depot) = -KA*depot"] if oral else []),
        f"d/dt(central) = {entry}- ({leaves}){out}",
        *(f"d/dt({rim}) = Q{k}/V*central - Q{k}/V{k}*{rim}" for k, rim in names),
    ]


def _parameters(
    rims: int, oral: bool, numbers: dict[str, float]
) -> tuple[Parameter, ...]:
    flows = [f"{letter}{k}" for k in range(1, rims + 1) for letter in "QV"]
    plain = {name: 1.0 for name in ["V", *(["KA"] if oral else []), *flows]}
    return tuple(Parameter(name, value) for name, value in (numbers | plain).items())
