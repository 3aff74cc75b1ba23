"""Five workloads that other software solves, too: equations, subjects, schedules.

Every one has accurate solutions of some subjects, which come first in any crowd, so
that what is timed is also what is checked. `W1-own` is W1 with dose and observation
times of their own for every subject; its accurate solution is computed here.

Time is in hours, in W3 and W5 in days; nothing here depends on which.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import linalg

from vtrial.dosing.doses import Doses, Times
from vtrial.dosing.doses import times as observed
from vtrial.model.grammar import parse_model
from vtrial.model.model import Model, Output, Parameter
from vtrial.testing.reference import reference_folder

EXCERPT = Path(__file__).parents[1] / "tests" / "reference" / "peers"
SPREAD = float(np.sqrt(np.log(1 + 0.3**2)))  # of the logarithms: CV 30 %
FLOOR = 1e-3  # of a subject's peak, below which errors count as of the floor
SEED = 20240

W1 = """
d/dt(gut) = -KA*gut
d/dt(cent) = KA*gut - CL/V*cent
CP = cent/V
"""
W2 = """
KTR = 4/MTT
CP = cent/V1
d/dt(cent) = -(CL + Q)/V1*cent + Q/V2*per
d/dt(per) = Q/V1*cent - Q/V2*per
d/dt(prol) = KTR*prol*((1 - SLOPE*CP)*(CIRC0/circ)^GAMMA - 1)
d/dt(a) = KTR*(prol - a)
d/dt(b) = KTR*(a - b)
d/dt(c) = KTR*(b - c)
d/dt(circ) = KTR*(c - circ)
init(prol) = CIRC0
init(a) = CIRC0
init(b) = CIRC0
init(c) = CIRC0
init(circ) = CIRC0
CIRC = circ
"""
W3 = """
L = cent/V1
bind = KON*L*rec - KOFF*cplx
d/dt(cent) = -CL*L - Q*L + Q/V2*per - V1*bind
d/dt(per) = Q*L - Q/V2*per
d/dt(rec) = R0*KDEG - KDEG*rec - bind
d/dt(cplx) = bind - KINT*cplx
init(rec) = R0
CP = L
REC = rec
CPLX = cplx
"""
W5 = """
d/dt(gut) = -KA*gut
d/dt(cent) = KA*gut - CL/V*cent
CP = cent/V
d/dt(ts) = KL*ts - KD*exp(-LAMBDA*t)*CP*ts
init(ts) = TS0
TS = ts
"""
VOLUMES = {  # [L]
    **{"AD": 14.5, "BO": 10.5, "BR": 1.45, "GO": 0.035, "GU": 1.2, "HE": 0.33},
    **{"KI": 0.31, "LI": 1.8, "LU": 0.5, "MU": 29.0, "PA": 0.14, "SK": 3.3},
    **{"SP": 0.15, "ST": 0.15, "RE": 1.235},
}
FLOWS = {  # fractions of cardiac output
    **{"AD": 0.05, "BO": 0.05, "BR": 0.12, "GO": 0.0005, "GU": 0.15, "HE": 0.04},
    **{"KI": 0.19, "HA": 0.065, "MU": 0.17, "PA": 0.01, "SK": 0.05, "SP": 0.03},
    **{"ST": 0.01, "RE": 0.0645},
}
PARTITION = {  # tissue to plasma
    **{"AD": 8.0, "BO": 2.0, "BR": 3.0, "GO": 2.0, "GU": 3.0, "HE": 2.5, "KI": 3.5},
    **{"LI": 4.0, "LU": 2.0, "MU": 1.5, "PA": 3.0, "SK": 2.5, "SP": 2.0, "ST": 3.0},
    **{"RE": 2.0},
}
PORTAL = ("GU", "PA", "SP", "ST")


def organs() -> str:
    """Write the whole-body model."""
    lines = ["BP = 0.9", "FA = 0.9", "GFR = 7.2"]
    lines += [f"Q{k} = {v}*QC" for k, v in FLOWS.items()]
    lines += [f"O{k} = A{k}/{v}*BP/KP{k}" for k, v in VOLUMES.items()]
    lines += ["CA = art/1.8", "CV = ven/3.6", "d/dt(lumen) = -KA*lumen"]
    extra = {"GU": " + KA*FA*lumen", "KI": " - GFR*FUP*OKI/BP"}
    for k in VOLUMES:
        if k not in ("LI", "LU"):
            lines.append(f"d/dt(A{k}) = Q{k}*(CA - O{k}){extra.get(k, '')}")
    portal = " + ".join(f"Q{k}*O{k}" for k in PORTAL)
    total = " + ".join(f"Q{k}" for k in ("HA", *PORTAL))
    lines.append(f"d/dt(ALI) = QHA*CA + {portal} - ({total})*OLI - CLINT*FUP*OLI/BP")
    lines += ["d/dt(ALU) = QC*(CV - OLU)", "d/dt(art) = QC*(OLU - CA)"]
    back = [k for k in VOLUMES if k not in ("LI", "LU", *PORTAL)]
    venous = " + ".join([*(f"Q{k}*O{k}" for k in back), f"({total})*OLI"])
    lines.append(f"d/dt(ven) = {venous} - QC*CV")
    lines += ["CP = CV/BP", f"CLI = ALI/{VOLUMES['LI']}", f"CBR = ABR/{VOLUMES['BR']}"]
    return "\n".join(lines)


class Workload(NamedTuple):
    """A model with its doses, into the first state, and its observations.

    `rate` is that of an infusion, 0 for a bolus; `subjects` is the number that peers
    are published with; `own` gives every subject times of their own.
    """

    text: str
    outputs: tuple[str, ...]
    typical: Mapping[str, float]
    doses: np.ndarray
    amount: float
    rate: float
    observations: np.ndarray
    subjects: int
    own: bool = False


class Crowd(NamedTuple):
    """Subjects: their parameters, and when they are dosed and observed.

    Times are (1 or subject, dose) and (1 or subject, time).
    """

    values: dict[str, np.ndarray]
    doses: np.ndarray
    observations: np.ndarray

    @property
    def size(self) -> int:
        """Count the subjects."""
        return len(next(iter(self.values.values())))


class Known(NamedTuple):
    """Accurate solutions: parameters by subject, times, outputs (subject, time)."""

    values: dict[str, np.ndarray]
    times: np.ndarray
    outputs: dict[str, np.ndarray]


_ONE = {"KA": 1.0, "CL": 5.0, "V": 50.0}
_TEN = np.arange(10) * 24.0
WORKLOADS = {
    "W1": Workload(W1, ("CP",), _ONE, _TEN, 100.0, 0.0, np.arange(241.0), 10_000),
    "W1-own": Workload(
        W1, ("CP",), _ONE, _TEN, 100.0, 0.0, np.arange(241.0), 10_000, own=True
    ),
    "W2": Workload(
        W2,
        ("CP", "CIRC"),
        {
            **{"CL": 36.0, "V1": 10.0, "Q": 8.0, "V2": 60.0, "CIRC0": 5.05},
            **{"MTT": 88.7, "GAMMA": 0.161, "SLOPE": 8.58},
        },
        np.array([0.0, 504.0, 1008.0]),
        222.8,
        222.8,
        np.arange(64) * 24.0,
        5_000,
    ),
    "W3": Workload(
        W3,
        ("CP", "REC", "CPLX"),
        {
            **{"CL": 0.2, "V1": 3.0, "Q": 0.5, "V2": 3.0, "R0": 10.0, "KDEG": 2.0},
            **{"KINT": 1.0, "KON": 86.4, "KOFF": 8.64},
        },
        np.array([0.0, 14.0, 28.0, 42.0]),
        500.0,
        0.0,
        np.arange(57.0),
        2_000,
    ),
    "W4": Workload(
        organs(),
        ("CP", "CLI", "CBR"),
        {
            **{"KA": 1.2, "CLINT": 300.0, "FUP": 0.1, "QC": 390.0},
            **{f"KP{organ}": value for organ, value in PARTITION.items()},
        },
        np.array([0.0]),
        100.0,
        0.0,
        np.arange(49.0),
        2_000,
    ),
    "W5": Workload(
        W5,
        ("CP", "TS"),
        {
            **{"KA": 24.0, "CL": 240.0, "V": 100.0, "KL": 0.003, "KD": 0.05},
            **{"LAMBDA": 0.0076, "TS0": 70.0},
        },
        np.arange(364.0),
        50.0,
        0.0,
        np.arange(53) * 7.0,
        10_000,
    ),
}


def model_of(name: str) -> Model:
    """Build a workload's model."""
    work = WORKLOADS[name]
    return Model(
        name,
        parse_model(work.text),
        parameters=tuple(Parameter(p, value) for p, value in work.typical.items()),
        outputs=tuple(Output(output, output) for output in work.outputs),
    )


def read_reference(name: str, folder: Path | None = None) -> Known:
    """Read accurate solutions; by default those of the largest folder there is."""
    folder = folder or reference_folder("peers") or EXCERPT
    values = pd.read_csv(folder / f"{name}_params.csv")
    wanted = pd.read_csv(folder / f"{name}_ref.csv")
    by_subject = {
        column: wanted[column].to_numpy().reshape(len(values), -1) for column in wanted
    }
    return Known(
        {p: values[p].to_numpy() for p in WORKLOADS[name].typical},
        by_subject["time"][0],
        {output: by_subject[output] for output in WORKLOADS[name].outputs},
    )


def crowd(name: str, size: int) -> Crowd:
    """Return the subjects with accurate solutions, and others drawn like them."""
    work = WORKLOADS[name]
    random = np.random.default_rng(SEED)
    known = {} if work.own else read_reference(name).values
    values = {}
    for parameter, typical in work.typical.items():
        drawn = typical * np.exp(SPREAD * random.standard_normal(size))
        values[parameter] = np.concatenate([known.get(parameter, []), drawn])[:size]
    if not work.own:
        return Crowd(values, work.doses[None], work.observations[None])
    last = work.observations[-1]
    doses = work.doses + random.uniform(0.0, 6.0, (size, len(work.doses)))
    seen = random.uniform(0.0, last, (size, len(work.observations)))
    seen[:, -1] = last
    return Crowd(values, doses, np.sort(seen, axis=1))


def worst_errors(
    name: str, group: Crowd, outputs: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Return the largest error of each output (subject, time) of what is known."""
    if WORKLOADS[name].own:
        found = np.asarray(outputs["CP"])
        return {"CP": relative_error(_superposed(group, WORKLOADS[name].amount), found)}
    known = read_reference(name)
    columns = np.searchsorted(group.observations[0], known.times)
    peaks = {"CP": _infused(known.values, WORKLOADS[name])} if name == "W2" else {}
    return {
        output: relative_error(
            exact, np.asarray(outputs[output])[:, columns], peaks.get(output, 0.0)
        )
        for output, exact in known.outputs.items()
    }


def relative_error(
    exact: np.ndarray, found: np.ndarray, peak: np.ndarray | float = 0.0
) -> float:
    """Return the largest error of the subjects in both.

    It is relative, with a floor of a thousandth of the subject's peak, which may be
    one that is not observed.
    """
    size = min(len(exact), len(found))
    peaks = np.maximum(np.abs(exact).max(axis=1), peak)[:size, None]
    exact, found = exact[:size], found[:size]
    return float((np.abs(found - exact) / (np.abs(exact) + FLOOR * peaks)).max())


def _infused(values: Mapping[str, np.ndarray], work: Workload) -> np.ndarray:
    """Return W2's concentration at the end of an infusion, a day before it is seen."""
    CL, V1, Q, V2 = (values[name] for name in ("CL", "V1", "Q", "V2"))
    rates = np.zeros((len(CL), 3, 3))  # the third state is one, and drives the infusion
    rates[:, 0, 0], rates[:, 0, 1], rates[:, 0, 2] = -(CL + Q) / V1, Q / V2, work.rate
    rates[:, 1, 0], rates[:, 1, 1] = Q / V1, -Q / V2
    return linalg.expm(rates * work.amount / work.rate)[:, 0, 2] / V1


def _superposed(group: Crowd, amount: float) -> np.ndarray:
    """Sum Bateman's function over the doses; drawn rates are never quite equal."""
    KA, CL, V = (group.values[name][:, None] for name in ("KA", "CL", "V"))
    KE, total = CL / V, np.zeros(group.observations.shape)
    for given in group.doses.T:
        since = np.maximum(group.observations - given[:, None], 0.0)
        total += np.exp(-KE * since) * -np.expm1(-(KA - KE) * since)
    return amount / V * KA / (KA - KE) * total


def schedule_of(name: str, group: Crowd) -> tuple[Doses, Times]:
    """Write doses and observations as vtrial takes them."""
    work, given = WORKLOADS[name], group.doses
    flat, whole = np.ones(given.shape), np.zeros(given.shape, int)
    doses = Doses(
        time=given,  # type: ignore[arg-type]
        amount=work.amount * flat,  # type: ignore[arg-type]
        compartment=whole,  # type: ignore[arg-type]
        rate=work.rate * flat,  # type: ignore[arg-type]
        interval=0 * flat,  # type: ignore[arg-type]
        steady=whole,  # type: ignore[arg-type]
        event=whole + 1,  # type: ignore[arg-type]
        rank=whole + 1,  # type: ignore[arg-type]
    )
    return doses, observed(group.observations)
