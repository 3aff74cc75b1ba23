"""A trial that was never run, and estimates that nobody saw."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.altered import altered
from vtrial.analysis.estimates import (
    CONTRASTS,
    CONVERGENCE,
    COURSES,
    CURVES,
    ENDPOINTS,
    EXPLAINED,
    MISS,
    OPERATING,
    PERSONS,
    PREDICTIVE,
    PREDICTIVE_EVENTS,
    PREDICTIVE_SHARES,
    PUBLISHED,
    SUBGROUPS,
    WITHIN,
    Estimates,
)
from vtrial.dosing.regimen import Level, Regimen, Repeat, Step
from vtrial.endpoint.endpoint import Endpoint
from vtrial.model.grammar import parse_expression, parse_model
from vtrial.model.model import Covariate, Model, Output, Source
from vtrial.protocol.analysis import Analysis, Comparison
from vtrial.protocol.design import Allocation, Design
from vtrial.protocol.evidence import Evidence, Observed, Published
from vtrial.protocol.protocol import Arm, Protocol, Visit

ARMS = ("d60", "d75", "d100")
PAPER = Source(cite="Somebody A et al. A Journal 2006;24:4963", doi="10.1000/182")


@pytest.fixture(scope="session")
def protocol():
    return _make_protocol()


@pytest.fixture(scope="session")
def estimates(protocol):
    return _make_estimates(protocol)


@pytest.fixture(scope="session")
def dosed():
    """A protocol whose arms are doses, with endpoints of every kind."""
    return _make_dosed()


@pytest.fixture(scope="session")
def full(dosed):
    """Estimates with every table filled."""
    return _make_full(dosed)


@pytest.fixture(scope="session")
def make_protocol():
    return _make_protocol


@pytest.fixture(scope="session")
def make_estimates():
    return _make_estimates


def _make_protocol(arms=ARMS, **changes):
    model = Model(
        name="counts-under-drug",
        title="Neutrophil counts under a drug",
        statements=parse_model("d/dt(central) = -0.1*central\nanc = central + 1"),
        outputs=(
            Output("anc", "anc", unit="1e9/L", title="neutrophil count"),
            Output("conc", "central", unit="umol/L", title="plasma concentration"),
        ),
        sources=(
            Source(cite="Modeller M. Another Journal 2006;12:5481", doi="10.1/x"),
        ),
    )
    grade = Endpoint(
        "grade 4", "anc", "minimum", 0.0, 504.0, below=0.5, visits=("blood",)
    )
    nadir = Endpoint(
        "nadir", "anc", "minimum", 0.0, 504.0, unit="1e9/L", title="ANC nadir"
    )
    many = len(arms) > 1
    trial = Protocol(
        name="docetaxel-made-up",
        title="Docetaxel 60, 75 and 100 mg/m² every three weeks",
        model=model,
        cohort="breast-cancer-second-line",
        subjects=527,
        replicates=200,
        seed=2006,
        arms=tuple(Arm(a, a.replace("d", "") + " mg/m²") for a in arms),
        design=Design(Allocation((1,) * len(arms), "permuted block", 6)),
        visits=(Visit("blood", tuple(168.0 * k for k in range(19)), 24.0, ("anc",)),),
        grid=tuple(np.arange(0.0, 3025.0, 24.0).tolist()),
        endpoints=(grade, nadir),
        analysis=Analysis(
            (
                Comparison("c1", "d100", "d75", "grade 4", "risk difference"),
                Comparison("c2", "d60", "d75", "grade 4", "risk difference"),
                Comparison("c3", "d100", "d60", "nadir", "ratio of geometric means"),
            )
            if many
            else ()
        ),
        evidence=Evidence(
            published=(
                Published(0.754, 0.70, 0.80, "grade 4", arms[-1], source=PAPER),
                Published(0.30, 0.25, 0.35, "grade 4", arms[0], verified=False),
            ),
            observed=(
                Observed(
                    "anc", (0.0, 168.0, 336.0, 504.0), (5.1, 0.9, 2.1, 4.8), "", PAPER
                ),
            ),
        ),
        sources=(PAPER,),
        text="protocol: docetaxel-made-up\nseed: 2006\n",
    )
    return altered(trial, **changes)


def _make_estimates(protocol, *, failed=3):
    arms = [arm.name for arm in protocol.arms]
    depth = dict(zip(arms, np.linspace(0.67, 0.22, len(arms)), strict=True))
    return Estimates(
        flow=_flow(protocol, arms, failed),
        endpoints=_endpoints(arms, depth),
        contrasts=_contrasts(protocol),
        bands=_bands(arms, depth),
        distributions=_distributions(arms, depth),
        failures=pd.DataFrame(
            [{"arm": arms[0], "status": "STEP_LIMIT", "count": failed}]
            if failed
            else [],
            columns=["arm", "status", "count"],
        ),
        published=_published(protocol),
    )


def _flow(protocol, arms, failed):
    total = protocol.subjects * protocol.replicates // len(arms)
    return pd.DataFrame(
        [
            {
                "arm": arm,
                "screened": total + 1234,
                "enrolled": total,
                "allocated": total,
                "simulated": total - failed * (arm == arms[0]),
                "failed": failed * (arm == arms[0]),
                "others": 0,
                "others_failed": 0,
                "replicates": protocol.replicates,
            }
            for arm in arms
        ]
    )


def _endpoints(arms, depth):
    rows = []
    for arm in arms:
        share = 0.85 - 0.7 * depth[arm]
        rows.append(
            (arm, "grade 4", "share", 35133, share, share - 0.07, share + 0.07, 1)
        )
        for statistic in ("mean", "sd", "median"):
            low, high = depth[arm] * 0.9, depth[arm] * 1.12
            rows.append((arm, "nadir", statistic, 35133, depth[arm], low, high, 2))
    frame = pd.DataFrame(
        rows,
        columns=["arm", "endpoint", "statistic", "n", "estimate", "low", "high", "u"],
    )
    unit = frame.pop("u").map({1: "1", 2: "1e9/L"})
    frame = frame.assign(
        mc_error=0.0022, unit=unit, missing=7, failed=0, interval="between trials"
    )
    none = dict.fromkeys(("least", "most", "truth", "truth_error"), np.nan)
    return frame.assign(replicates=200, undefined=0, **none)[ENDPOINTS]


def _contrasts(protocol):
    values = {"risk difference": (0.194, 0.11, 0.28)}
    rows = []
    for c in protocol.analysis.comparisons:
        estimate, low, high = values.get(c.by, (0.33, 0.27, 0.41))
        rows.append((c.name, c.arm, c.reference, c.endpoint, c.by, estimate, low, high))
    columns = ["comparison", "arm", "reference", "endpoint", "by", "estimate", "low"]
    frame = pd.DataFrame(rows, columns=[*columns, "high"])
    frame = frame.assign(
        mc_error=0.002, unit="1", adjust="", interval="between trials", p=np.nan
    )
    frame = frame.assign(
        ci_low=frame["low"], ci_high=frame["high"], power=0.98, truth=np.nan
    )
    frame = frame.assign(truth_error=np.nan, replicates=200, undefined=0, level=0.95)
    frame = frame.assign(power_low=0.95, power_high=0.99, least=np.nan, most=np.nan)
    sides = {"n": 17566, "missing": 7, "failed": 0}
    frame = frame.assign(**sides, **{f"reference_{k}": v for k, v in sides.items()})
    return frame[CONTRASTS]


def _bands(arms, depth):
    days = np.arange(0, 127, 1.0)
    rows = []
    for arm in arms:
        wave = np.sin(np.pi * np.minimum(days % 21, 16) / 16) ** 2
        middle = 5.2 * np.exp(-wave * np.log(5.2 / depth[arm]))
        decay = 3 * np.exp(-(days % 21) * 2) / depth[arm] + 1e-4
        for q, z in (
            (0.05, -1.64),
            (0.25, -0.67),
            (0.5, 0),
            (0.75, 0.67),
            (0.95, 1.64),
        ):
            for name, unit, mid in (
                ("anc", "1e9/L", middle),
                ("conc", "umol/L", decay),
            ):
                values = mid * np.exp(0.4 * z)
                pairs = zip(days * 24, values, strict=True)
                rows += [(arm, name, unit, t, q, v) for t, v in pairs]
    columns = ["arm", "output", "unit", "time", "quantile", "value"]
    return pd.DataFrame(rows, columns=columns)


def _distributions(arms, depth):
    edges = np.linspace(0, 3, 31)
    rows = []
    for arm in arms:
        middle = (edges[1:] + edges[:-1]) / 2
        share = np.exp(-((np.log(middle / depth[arm]) / 0.5) ** 2) / 2)
        share /= share.sum()
        for low, high, part in zip(edges, edges[1:], share, strict=False):
            rows.append((arm, "nadir", "1e9/L", low, high, round(9999 * part), part))
    columns = ["arm", "endpoint", "unit", "low", "high", "count", "share"]
    return pd.DataFrame(rows, columns=columns)


def _published(protocol):
    rows = []
    for place, point in enumerate(protocol.evidence.published):
        simulated = 0.741 if place == 0 else 0.381
        rows.append(
            {
                "what": f"{point.arm} {point.endpoint}",
                "arm": point.arm,
                "endpoint": point.endpoint,
                "where": "",
                "comparison": point.comparison,
                "statistic": "share",
                "kind": "share",
                "unit": "1",
                "published": point.value,
                "simulated": simulated,
                "mc_error": 0.0023,
                "mc_low": simulated - 0.0045,
                "mc_high": simulated + 0.0045,
                "low": point.low,
                "high": point.high,
                "within": point.low <= simulated <= point.high,
                "verdict": WITHIN if point.low <= simulated <= point.high else MISS,
                "verified": point.verified,
                "source": point.source.cite,
            }
        )
    return pd.DataFrame(rows, columns=PUBLISHED)


def _make_dosed():
    plain = _make_protocol()
    model = replace(
        plain.model,
        covariates=(
            Covariate("AAG", "g/L", "alpha-1 acid glycoprotein", 1.3),
            Covariate("FEMALE", values=(0.0, 1.0)),
        ),
    )
    arms = tuple(replace(arm, regimen=_regimen(arm.name)) for arm in plain.arms)
    change = Endpoint(
        "change", "anc", "percent change", 0.0, 504.0, unit="%", title="ANC change"
    )
    recovery = Endpoint(
        "recovery", "anc", "time to", 0.0, 504.0, low=2.0, unit="h", title="recovery"
    )
    fever = replace(recovery, name="fever", title="fever")
    points = (*plain.endpoints, change, recovery, fever)
    return replace(plain, model=model, arms=arms, endpoints=points)


def _regimen(name):
    amount = parse_expression(f"{name[1:]} * BSA")
    repeats = (Repeat(504.0, 6),)
    level = Level(amount, 1, (float(name[1:]), "m2"))
    step = Step((level,), repeats=repeats, into="central", words=name)
    return Regimen((step,))


def _make_full(protocol):
    arms = [arm.name for arm in protocol.arms]
    return replace(
        _make_estimates(protocol),
        curves=_curves(arms),
        operating=_operating(protocol),
        convergence=_convergence(protocol),
        subgroups=_subgroups(arms),
        explained=_explained(arms),
        persons=_persons(arms),
        predictive=_predictive(arms),
        predictive_events=_predictive_events(arms),
        predictive_shares=_predictive_shares(arms),
        courses=_courses(arms),
    )


def _curves(arms):
    rows = []
    for place, arm in enumerate(arms):
        for week in range(1, 20):
            share = float(np.exp(-0.05 * (place + 1) * week))
            risk = 35000 * share / 200
            row = (arm, "recovery", 168.0 * week, share, share * 0.9)
            rows.append((*row, min(1.0, share * 1.1), risk, 175 - risk))
    return pd.DataFrame(rows, columns=CURVES)


def _operating(protocol):
    rows = []
    for comparison in protocol.analysis.comparisons:
        rows += [
            (comparison.name, "power", 0.834, 0.026, 0.776, 0.879, 200),
            (comparison.name, "coverage", 0.945, 0.016, 0.904, 0.969, 200),
            (comparison.name, "bias", 0.0012, 0.002, -0.0027, 0.0051, 200),
            (comparison.name, "of one trial", 0.041, 0.002, 0.037, 0.045, 200),
        ]
    return pd.DataFrame(rows, columns=OPERATING)


def _convergence(protocol):
    rows = []
    for comparison in protocol.analysis.comparisons:
        for trials in (10, 20, 50, 100, 200):
            error = 0.03 / np.sqrt(trials)
            rows.append((comparison.name, trials, 0.194 + error, error))
    return pd.DataFrame(rows, columns=CONVERGENCE)


def _subgroups(arms):
    groups = [("AAG", 0.5, 1.1), ("AAG", 1.1, 1.5), ("AAG", 1.5, 3.0)]
    groups += [("FEMALE", 0.0, 0.0), ("FEMALE", 1.0, 1.0)]
    rows = []
    for place, (name, low, high) in enumerate(groups):
        for level, arm in enumerate(arms):
            share = 0.25 + 0.15 * level + 0.05 * place
            who = (arm, name, low, high, 11711.0)
            rows.append(("grade 4", *who, "share", share, 0.004, "1"))
            middle = 0.8 - 0.2 * level
            rows.append(("nadir", *who, "geometric mean", middle, 0.004, "1e9/L"))
    return pd.DataFrame(rows, columns=SUBGROUPS)


def _explained(arms):
    rows = []
    for arm in arms:
        for place in range(15):
            share, sign = 0.4 / (place + 1), (-1) ** place
            name = "AAG" if not place else f"ETA{place}"
            rows.append(("nadir", arm, name, share, 0.01, sign * np.sqrt(share)))
    return pd.DataFrame(rows, columns=EXPLAINED)


def _persons(arms):
    rows = []
    for place, arm in enumerate(arms):
        for subject in range(150):
            number = 3 * subject + place
            change = -90.0 + 120.0 * ((subject * 61) % 150) / 150
            rows.append((arm, "change", number, change, 1, "%"))
            hours = 24.0 * (1 + (subject * 7) % 20)
            rows.append((arm, "recovery", number, hours, subject % 3 > 0, "h"))
            rows.append((arm, "fever", number, 0.4 * hours, subject % 4 == 0, "h"))
    return pd.DataFrame(rows, columns=PERSONS).astype({"event": float})


def _predictive(arms):
    rows = []
    for arm in arms:
        for time in np.arange(0.0, 505.0, 56.0):
            for quantile, value in ((0.1, 1.0), (0.5, 3.0), (0.9, 9.0)):
                middle = value * np.exp(-time / 300)
                limits = (middle * 0.8, middle, middle * 1.25)
                row = (arm, "anc", "1e9/L", time, quantile, middle * 1.05)
                rows.append((*row, *limits, "nothing"))
    return pd.DataFrame(rows, columns=PREDICTIVE)


def _predictive_events(arms):
    rows = []
    for place, arm in enumerate(arms):
        for time in np.arange(0.0, 505.0, 24.0):
            middle = np.exp(-time / (200 + 100 * place))
            seen, limits = min(1.0, 1.1 * middle), (0.8 * middle, middle)
            risk = 120 * middle
            row = (arm, "recovery", time, seen, *limits, min(1.0, 1.2 * middle))
            rows.append((*row, risk, 120 - risk, 118 * middle))
    return pd.DataFrame(rows, columns=PREDICTIVE_EVENTS)


def _predictive_shares(arms):
    rows = [(arm, "grade 4", np.nan, 1.0, 120, 0.4, 0.3, 0.41, 0.5) for arm in arms] + [
        (arm, "anc", time, grade, 118, 0.5, 0.4, 0.5, 0.6)
        for arm in arms
        for time in (0.0, 168.0, 336.0)
        for grade in (0.0, 1.0)
    ]
    return pd.DataFrame(rows, columns=PREDICTIVE_SHARES)


def _courses(arms):
    rows = [
        (arm, "anc", "1e9/L", 0, subject, time, (1 + subject) * np.exp(-time / 200))
        for arm in arms
        for subject in range(4)
        for time in np.arange(0.0, 505.0, 24.0)
    ]
    return pd.DataFrame(rows, columns=COURSES)
