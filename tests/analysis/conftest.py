"""A record as conduct would have left it, with numbers that are known."""

from dataclasses import fields

import numpy as np
import pytest
import xarray as xr

from tests.altered import altered
from vtrial.endpoint.endpoint import Endpoint
from vtrial.model.model import Model, Output, Source
from vtrial.protocol.analysis import Comparison
from vtrial.protocol.design import Allocation
from vtrial.protocol.evidence import Published
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.types import Missing

ENDPOINTS = (
    Endpoint("peak", of="conc", take="maximum", start=0.0, end=24.0, unit="mg/L"),
    Endpoint("cured", of="conc", take="minimum", start=0.0, end=24.0, below=1.0),
    Endpoint(
        "relief", of="conc", take="time to", start=0.0, end=24.0, low=1.0, unit="h"
    ),
)
EFFECT, RISKS = 1.5, {"low": 0.2, "high": 0.4}


def make_protocol(**changes):
    settings = {
        "name": "made-up",
        "model": Model("made-up", (), outputs=(Output("conc", "conc", unit="mg/L"),)),
        "cohort": "adults",
        "subjects": 60,
        "replicates": 40,
        "arms": (Arm("low"), Arm("high")),
        "potential": "all",
        "allocation": Allocation((1, 1)),
        "endpoints": ENDPOINTS,
        "comparisons": (
            Comparison("ratio", "high", "low", "peak", "ratio of geometric means"),
            Comparison(
                "means",
                "high",
                "low",
                "peak",
                "difference of means",
                adjust=("baseline", "WT"),
            ),
            Comparison("risk", "high", "low", "cured", "risk difference"),
        ),
        "published": (
            Published(0.4, 0.35, 0.45, arm="high", endpoint="cured"),
            Published(0.9, 0.8, 1.0, arm="low", endpoint="cured", verified=False),
            Published(0.2, 0.1, 0.3, comparison="risk", source=Source(cite="Us 2001")),
            Published(
                3.0,
                2.5,
                3.5,
                arm="low",
                endpoint="peak",
                statistic="geometric mean",
                source=Source(cite="Them", doi="10.1/x", note="Table 2"),
            ),
        ),
    }
    settings |= changes
    names = {field.name for field in fields(Protocol)}
    given = {name: settings.pop(name) for name in names & settings.keys()}
    return altered(Protocol(**given), **settings)


def make_tree(protocol, *, seed=1, failed=(5, 77), missing=(9,), trajectories=True):
    """Draw peaks about 3 mg/L (times 1.5 in `high`), responses and times to relief."""
    rng = np.random.default_rng(seed)
    subjects, replicates = protocol.subjects, protocol.replicates
    rows = subjects * replicates
    replicate = np.repeat(np.arange(replicates), subjects)
    number = np.tile(np.arange(subjects), replicates)
    arm = rng.permuted(np.tile(number % 2, 1).reshape(replicates, subjects), axis=1)
    weight, person = rng.normal(70, 10, rows), rng.normal(0, 0.3, rows)
    luck, wait = rng.uniform(size=rows), rng.exponential(size=rows)
    groups = {
        "/subjects": xr.Dataset(
            {
                "replicate": ("subject", replicate.astype("int32")),
                "number": ("subject", number.astype("int32")),
                "arm": ("subject", arm.ravel().astype("int16")),
                "screened": ("subject", np.full(rows, 2, "int32")),
                "WT": ("subject", weight),
            }
        )
    }
    for place, name in enumerate(("low", "high")):
        factor = EFFECT if name == "high" else 1.0
        peak = 3 * factor * np.exp(person + 0.2 * rng.normal(size=rows))
        relief = 10 / factor * wait
        outcome = np.stack(
            [peak, (luck < RISKS[name]) * 1.0, np.minimum(relief, 12.0)], axis=1
        )
        event = np.stack([np.ones(rows), np.ones(rows), (relief < 12) * 1.0], axis=1)
        baseline = np.repeat(np.exp(person)[:, None], 3, axis=1)
        status = np.zeros(rows, "int8")
        if protocol.potential == "allocated":
            status[arm.ravel() != place] = -1
        for row in failed:
            status[row] = 2 if status[row] == 0 else -1
        outcome[status != 0] = np.nan
        outcome[list(missing), 0] = np.nan
        reason = np.zeros(outcome.shape, "int8")
        reason[list(missing), 0] = Missing.NO_SLOPE
        first = np.where(status < 0, -1, 0).astype("int8")
        kept = {"status": ("subject", status), "fallback": ("subject", first)}
        groups[f"/arms/{name}"] = xr.Dataset(kept)
        axes = ("subject", "endpoint")
        groups[f"/arms/{name}/outcomes"] = xr.Dataset(
            {
                "outcome": (axes, outcome),
                "baseline": (axes, baseline),
                "event": (axes, event),
                "reason": (axes, reason),
            },
            coords={"endpoint": [e.name for e in ENDPOINTS]},
        )
        if trajectories:
            values = peak[:, None, None] * np.exp(-np.array([0.0, 1.0, 2.0]))
            groups[f"/arms/{name}/trajectories"] = xr.Dataset(
                {"value": (("subject", "output", "time"), values)},
                coords={"output": ["conc"], "time": [0.0, 1.0, 2.0]},
            )
    tree = xr.DataTree.from_dict(groups)
    tree.attrs["arms"] = ["low", "high"]
    return tree


@pytest.fixture(scope="session")
def made_up():
    """Return what makes another protocol and another record."""
    return make_protocol, make_tree


@pytest.fixture(scope="session")
def protocol():
    return make_protocol()


@pytest.fixture(scope="session")
def tree(protocol):
    return make_tree(protocol)
