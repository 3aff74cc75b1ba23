"""Event records against formulas and integrations that share nothing with vtrial.

Linear bodies: sums of exponentials, from the roots of the characteristic polynomial.
Nonlinear ones: SciPy's DOP853 at 1e-12, dose by dose.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from vtrial.dosing.doses import Doses, times
from vtrial.dosing.table import read_events
from vtrial.errors import SolverError
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model, Output, Parameter
from vtrial.solver.choice import choose
from vtrial.solver.host import simulate
from vtrial.solver.prediction import predict
from vtrial.types import Numerics

COLUMNS = ("LAG", "BIO", "RAT", "DUR")
SCENARIOS = {  # AMT, RATE, II, SS, lag, F, modelled rate, modelled duration
    "bolus": (100, 0, 0, 0, 0, 1, 1, 1),
    "bolus, lag, F": (100, 0, 0, 0, 1.3, 0.6, 1, 1),
    "infusion": (100, 25, 0, 0, 0, 1, 1, 1),
    "infusion, lag, F": (100, 25, 0, 0, 2.2, 0.7, 1, 1),
    "rate": (100, -1, 0, 0, 0, 1, 12.5, 1),
    "rate, lag, F": (100, -1, 0, 0, 0.4, 0.45, 12.5, 1),
    "duration": (100, -2, 0, 0, 0, 1, 1, 5),
    "duration, lag, F": (100, -2, 0, 0, 0.9, 1.2, 1, 5),
    "steady": (100, 0, 12, 1, 0, 1, 1, 1),
    "steady, lag, F": (100, 0, 12, 1, 5, 0.8, 1, 1),
    "steady, lag beyond the interval": (100, 0, 12, 1, 17, 0.8, 1, 1),
    "steady infusion": (100, 25, 12, 1, 0, 0.9, 1, 1),
    "steady infusion, lag across the record": (100, 25, 12, 1, 10, 1, 1, 1),
    "steady infusion beyond the interval": (100, 4, 12, 1, 0, 1, 1, 1),
    "steady rate, lag, F": (100, -1, 8, 1, 1.5, 0.9, 20, 1),
    "steady rate beyond the interval": (100, -1, 8, 1, 3, 1, 5, 1),
    "steady duration, lag, F": (100, -2, 8, 1, 1.5, 0.9, 1, 3),
    "steady duration beyond the interval": (100, -2, 8, 1, 0, 0.5, 1, 20),
    "steady added": (100, 0, 12, 2, 0, 1, 1, 1),
    "steady added, lag, F": (100, 0, 12, 2, 3, 0.5, 1, 1),
    "steady infusion added, duration, lag": (100, -2, 12, 2, 2, 1, 1, 4),
}
RECORD, FIRST = 6.0, 40.0  # [h] of the record, [mg] what is there before it
GRID = np.array([6.0, 6.5, 8.0, 9.25, 11.0, 17.5, 18.0, 21.0, 30.0, 47.0])
MICRO = """
d/dt(central) = KA*depot - (K10 + K12 + K13)*central + K21*rim + K31*edge
d/dt(rim) = K12*central - K21*rim
d/dt(edge) = K13*central - K31*edge
conc = central/V
"""
MACRO = """
K10 = ALPHA*BETA*GAMMA/K21/K31
pairs = ALPHA*BETA + ALPHA*GAMMA + BETA*GAMMA
total = ALPHA + BETA + GAMMA
K13 = (pairs + K31*K31 - K31*total - K10*K21)/(K21 - K31)
K12 = total - K10 - K13 - K21 - K31
"""
RATES = {"K10": 0.25, "K12": 0.4, "K21": 0.3, "K13": 0.15, "K31": 0.04}
HYBRID = {"ALPHA": 0.99, "BETA": 0.14, "GAMMA": 0.021, "K21": 0.3, "K31": 0.04}


def roots_of(k10, k12, k21, k13, k31):
    """Return the exponents of three compartments (ADVAN11 and 12)."""
    loss = k10 + k12 + k13
    cubic = [
        1.0,
        -(loss + k21 + k31),
        loss * (k21 + k31) + k21 * k31 - k12 * k21 - k13 * k31,
        -k10 * k21 * k31,
    ]
    return np.roots(cubic).real


def modes(exponents, k21, k31, absorption=None):
    """Return the exponents and coefficients of a unit dose's central amount."""
    others = [np.delete(exponents, i) for i in range(3)]
    parts = [
        (k21 - e) * (k31 - e) / np.prod(o - e)
        for e, o in zip(exponents, others, strict=True)
    ]
    parts = np.array(parts)
    if absorption is None:
        return exponents, parts
    oral = parts * absorption / (absorption - exponents)
    return np.append(exponents, absorption), np.append(oral, -oral.sum())


def response(body, time, amount, rate, repeat=None):
    """Return the amount after a dose at 0, or after one every `repeat` for ever."""
    exponents, parts = body
    length = amount / rate if rate else 0.0
    total, passed = np.zeros(np.shape(time)), np.asarray(time, float)
    while True:
        done = passed >= length  # the pulse is over
        gone = np.maximum(passed, 0.0)[..., None]
        if rate:
            left = np.maximum(passed - length, 0.0)[..., None]
            each = rate / exponents * (np.exp(-exponents * left))
            each -= rate / exponents * np.exp(-exponents * gone)
        else:
            each = amount * np.exp(-exponents * gone)
        each = np.where((passed >= 0)[..., None], each, 0.0)
        if repeat is not None and done.all():
            return total + (each / (1 - np.exp(-exponents * repeat))) @ parts
        total = total + each @ parts
        if repeat is None:
            return total
        passed = passed + repeat


def wanted(body, scenario):
    """Return the central amount on the grid, after a bolus at 0 and the record."""
    amount, rate, interval, steady, lag, bio, model_rate, duration = scenario
    amount = amount * bio
    rate = {-1: model_rate, -2: amount / duration}.get(rate, rate)
    since = GRID - RECORD - lag
    found = response(body, GRID, FIRST, 0.0) * (steady != 1)
    if not steady:
        return found + response(body, since, amount, rate)
    ago = int(np.ceil((lag + 1e-9) / interval)) * interval  # all who came before
    past = response(body, since + ago, amount, rate, interval)
    following = np.arange(0, ago, interval)
    return (
        found + past + sum(response(body, since + k, amount, rate) for k in following)
    )


def write_model(text, parameters, covariates=COLUMNS, outputs=("conc",), **more):
    return Model(
        "made-up",
        parse_model(text),
        parameters=tuple(Parameter(k, float(v)) for k, v in parameters.items()),
        covariates=tuple(Covariate(name) for name in covariates),
        outputs=tuple(Output(name, name) for name in outputs),
        **more,
    )


def properties(state):
    kinds = dict(zip(("lag", "F", "rate", "duration"), COLUMNS, strict=True))
    return "".join(f"{kind}({state}) = {name}\n" for kind, name in kinds.items())


def three(oral, macro):
    text = MICRO if oral else MICRO.replace("KA*depot - ", "0 - ")
    text = (
        (MACRO if macro else "") + ("d/dt(depot) = -KA*depot\n" if oral else "") + text
    )
    values = (HYBRID if macro else RATES) | {"V": 20.0} | ({"KA": 1.1} if oral else {})
    return write_model(properties("depot" if oral else "central") + text, values)


def rows_of(name, scenario, state):
    amount, rate, interval, steady, *body = scenario
    before = dict(zip(COLUMNS, (0, 1, 1, 1), strict=True))
    here = dict(zip(COLUMNS, body, strict=True))
    common = {"ID": name, "CMT": state}
    yield common | before | {"TIME": 0, "EVID": 1, "AMT": FIRST}
    dose = {"AMT": amount, "RATE": rate, "II": interval, "SS": steady}
    yield common | here | dose | {"TIME": RECORD, "EVID": 1}
    for time in GRID:
        yield common | here | {"TIME": time, "EVID": 0}


def read(tmp_path, rows, model, **how):
    path = tmp_path / "events.csv"
    pd.DataFrame(rows).fillna(0).to_csv(path, index=False)
    names = [c.name for c in model.covariates]
    return read_events(path, states=model.states, covariates=names, **how)


BODIES = [(False, False), (True, False), (False, True), (True, True)]
EXACT = ["closed form", "matrix exponential"]
CASES = [(body, "closed form") for body in BODIES]
CASES += [((True, True), "matrix exponential"), ((False, False), "matrix exponential")]
CASES += [((True, False), "explicit"), ((False, True), "stiff")]


@pytest.mark.slow
@pytest.mark.parametrize(("body", "method"), CASES)
def test_three_compartments_take_every_kind_of_dose(body, method, tmp_path):
    """ADVAN11 and ADVAN12 by micro constants and by exponents (TRANS1 and 6)."""
    oral, macro = body
    model = three(oral, macro)
    assert choose(model, Numerics()).method == "closed form"
    rows = [
        row
        for name, scenario in SCENARIOS.items()
        for row in rows_of(name.replace(", ", " with "), scenario, model.states[0])
    ]
    numerics = Numerics(method=method, rtol=1e-10, atol=1e-10)
    table = predict(model, read(tmp_path, rows, model), numerics=numerics)
    assert "STATUS" not in table
    values = HYBRID if macro else RATES
    exponents = (
        np.array([HYBRID[k] for k in ("ALPHA", "BETA", "GAMMA")])
        if macro
        else roots_of(*RATES.values())
    )
    curve = modes(exponents, values["K21"], values["K31"], 1.1 if oral else None)
    found = table.conc.to_numpy().reshape(len(SCENARIOS), len(GRID)) * 20.0
    exact = np.array([wanted(curve, s) for s in SCENARIOS.values()])
    close = 1e-10 if method in EXACT else 1e-7
    np.testing.assert_allclose(found, exact, rtol=close, atol=close * 100)


SATURABLE = """
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - VMAX*central/(KM*V + central)
conc = central/V
"""
LIMITS = {"KA": 0.9, "VMAX": 14.0, "KM": 2.0, "V": 15.0}


def slopes(time, state, rates=(0.0, 0.0)):
    depot, central = state
    taken = LIMITS["KA"] * depot
    gone = LIMITS["VMAX"] * central / (LIMITS["KM"] * LIMITS["V"] + central)
    return [rates[0] - taken, rates[1] + taken - gone]


def walk(pulses, grid, *, state=(0.0, 0.0), begin=None, slopes=slopes):
    """Integrate through (start, place, amount, rate) and look at times, ties last."""
    steps = [(start, 0, place, amount, 0.0) for start, place, amount, rate in pulses]
    steps = [s for s, (*_, rate) in zip(steps, pulses, strict=True) if not rate]
    for start, place, amount, rate in pulses:
        if rate:
            steps += [(start, 0, place, 0.0, rate)]
            steps += [(start + amount / rate, 0, place, 0.0, -rate)]
    steps += [(time, 1, 0, 0.0, 0.0) for time in grid]
    steps = sorted(steps, key=lambda step: step[:2])
    now, state, rates, seen = begin, np.array(state, float), np.zeros(2), []
    for time, looks, place, amount, rate in steps:
        if now is not None and time > now:
            how = {"rtol": 1e-12, "atol": 1e-13, "args": (rates,)}
            state = solve_ivp(slopes, (now, time), state, "DOP853", **how).y[:, -1]
        now = time
        state[place] += amount
        rates[place] += rate
        if looks:
            seen.append(state.copy())
    return np.array(seen)


PLACES = {"depot": 0, "central": 1}
SETTLED = 150  # intervals, after which a repeated dose is at its steady state
CURVED = {  # place, then as above
    "bolus": ("depot", (100, 0, 0, 0, 1.3, 0.6, 1, 1)),
    "rate": ("central", (100, -1, 0, 0, 0.4, 0.45, 12.5, 1)),
    "duration": ("depot", (100, -2, 0, 0, 0.9, 1.2, 1, 5)),
    "steady": ("depot", (60, 0, 12, 1, 0, 1, 1, 1)),
    "steady lagged": ("depot", (60, 0, 12, 1, 5, 0.8, 1, 1)),
    "steady lagged beyond the interval": ("depot", (60, 0, 12, 1, 17, 0.8, 1, 1)),
    "steady infusion lagged across": ("central", (60, 25, 12, 1, 11, 1, 1, 1)),
    "steady infusion beyond": ("central", (60, 4, 12, 1, 3, 1, 1, 1)),
    "steady rate": ("central", (60, -1, 8, 1, 1.5, 0.9, 20, 1)),
    "steady duration": ("depot", (60, -2, 8, 1, 1.5, 0.9, 1, 3)),
}


def repeated(place, scenario):
    """Return what the record leads to: everything, or what ages of doses led to."""
    amount, rate, interval, steady, lag, bio, model_rate, duration = scenario
    amount = amount * bio
    rate = {-1: model_rate, -2: amount / duration}.get(rate, rate)
    if not steady:
        pulses = [(0.0, PLACES[place], FIRST, 0.0)]
        return walk([*pulses, (RECORD + lag, PLACES[place], amount, rate)], GRID)
    starts = RECORD + lag - interval * np.arange(SETTLED)
    return walk([(t, PLACES[place], amount, rate) for t in starts], GRID)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_saturable_bodies_take_every_kind_of_dose(method, tmp_path):
    """Steady states of a model without a formula are what repetition leads to."""
    model = write_model(properties("depot") + properties("central") + SATURABLE, LIMITS)
    rows = [row for name, (at, s) in CURVED.items() for row in rows_of(name, s, at)]
    numerics = Numerics(method=method, rtol=1e-9, atol=1e-9, max_steps=1_000_000)
    table = predict(model, read(tmp_path, rows, model), numerics=numerics)
    assert "STATUS" not in table
    found = table.conc.to_numpy().reshape(len(CURVED), len(GRID)) * LIMITS["V"]
    exact = np.array([repeated(*case)[:, 1] for case in CURVED.values()])
    np.testing.assert_allclose(found, exact, rtol=2e-7, atol=2e-6)


@pytest.mark.slow
def test_a_steady_state_is_added_to_a_saturable_body(tmp_path):
    """SS=2: the regimen's own state and its running infusion, on what is there."""
    scenario = (60, 2.5, 12, 2, 3, 1, 1, 1)
    model = write_model(properties("central") + SATURABLE, LIMITS)
    rows = list(rows_of("one", scenario, "central"))
    numerics = Numerics(rtol=1e-9, atol=1e-9)
    table = predict(model, read(tmp_path, rows, model), numerics=numerics)
    there = walk([(0.0, 1, FIRST, 0.0)], [RECORD])[0]
    starts = RECORD + 3 - 12.0 * np.arange(SETTLED)
    own = walk([(t, 1, 60.0, 2.5) for t in starts], [RECORD])[0]
    later = [(t, 1, 60.0, 2.5) for t in starts if t > RECORD]
    running = [t for t in starts if t <= RECORD < t + 24.0]
    later += [(RECORD, 1, 2.5 * (t + 24.0 - RECORD), 2.5) for t in running]
    exact = walk(later, GRID, state=there + own, begin=RECORD)[:, 1]
    assert len(running) == 2
    np.testing.assert_allclose(table.conc * LIMITS["V"], exact, rtol=2e-7)


WEIGHTS = """
CL = CLS*(WT/70)^0.75
F(depot) = 1 + (WT - 70)/100
d/dt(depot) = -KA*depot
d/dt(central) = KA*depot - CL/V*central
conc = central/V
"""
GROWING = """ID,TIME,AMT,EVID,CMT,II,ADDL,WT
1,0,100,1,depot,9,2,70
1,4,0,0,2,0,0,70
1,10,0,0,2,0,0,90
1,10,0,0,2,0,0,95
1,24,0,0,2,0,0,50
1,30,0,0,2,0,0,60
2,0,50,1,1,0,0,80
2,30,0,0,2,0,0,80
"""
KNOTS = [0.0, 4.0, 10.0, 24.0, 30.0]


def weight(convention, time, end):
    """Return the weight of subject 1 at a time of the interval that ends so."""
    if convention == "linear" and end <= 10:
        return float(np.interp(time, [0, 4, 10], [70, 70, 90]))
    if convention == "linear":
        return float(np.interp(time, [10, 24, 30], [95, 50, 60]))
    after = {"backward": [70, 70, 90, 50, 60], "forward": [70, 70, 70, 95, 50]}
    return after[convention][int(np.searchsorted(KNOTS, end))]


@pytest.mark.parametrize("convention", ["backward", "forward", "linear"])
def test_covariates_hold_or_move_as_they_are_read(convention, tmp_path):
    """Clearance follows the weight all the time, F where a dose enters."""
    model = write_model(
        WEIGHTS, {"CLS": 3.0, "KA": 1.0, "V": 20.0}, ("WT",), ("conc", "CL")
    )
    path = tmp_path / "events.csv"
    path.write_text(GROWING)
    events = read_events(
        path, states=model.states, covariates=("WT",), convention=convention
    )
    table = predict(model, events, numerics=Numerics(rtol=1e-10, atol=1e-12))

    def slopes(time, state, end):
        clear = 3.0 * (weight(convention, time, end) / 70) ** 0.75
        return [-state[0], state[0] - clear / 20 * state[1]]

    stops = sorted({*KNOTS, 9.0, 18.0})
    state, seen = np.array([100.0, 0.0]), {}
    for begin, end in zip(stops, stops[1:], strict=False):
        how = {"rtol": 1e-12, "atol": 1e-13, "args": (end,)}
        state = solve_ivp(slopes, (begin, end), state, "DOP853", **how).y[:, -1]
        seen[end] = state[1] / 20
        if end in (9.0, 18.0):
            state[0] += 100 * (1 + (weight(convention, end, end) - 70) / 100)
    exact = [seen[t] for t in (4.0, 10.0, 10.0, 24.0, 30.0)]
    np.testing.assert_allclose(table.conc[:5], exact, rtol=1e-8)
    clear = 3.0 * (np.array([70, 90, 95, 50, 60]) / 70) ** 0.75
    np.testing.assert_allclose(table.CL[:5], clear, rtol=1e-12)
    plain = 1.1 * 50 / (1 - (fast := 3 * (80 / 70) ** 0.75 / 20)) / 20
    alone = plain * (np.exp(-fast * 30) - np.exp(-30))
    np.testing.assert_allclose(table.conc[5], alone, rtol=1e-8)


def test_what_stands_still_keeps_its_formula(tmp_path):
    """Lines between equal weights are no lines, and codes have no half-way."""
    model = write_model(WEIGHTS, {"CLS": 3.0, "KA": 1.0, "V": 20.0}, ("WT",))
    path = tmp_path / "events.csv"
    path.write_text("ID,TIME,AMT,EVID,WT\n1,0,9,1,70\n1,5,0,0,70\n1,9,0,0,70\n")
    read = {"states": model.states, "covariates": ("WT",)}
    step = read_events(path, **read)
    line = read_events(path, **read, convention="linear")
    closed = Numerics(method="closed form")
    pd.testing.assert_frame_equal(
        predict(model, step, numerics=closed), predict(model, line, numerics=closed)
    )
    path.write_text("ID,TIME,AMT,EVID,SEX\n1,0,9,1,0\n1,5,0,0,0\n1,9,0,0,1\n")
    text = WEIGHTS.replace("WT", "SEX")
    coded = write_model(text, {"CLS": 3.0, "KA": 1.0, "V": 20.0}, ())
    coded = Model(
        "coded",
        coded.statements,
        parameters=coded.parameters,
        covariates=(Covariate("SEX", values=(0.0, 1.0)),),
        outputs=coded.outputs,
    )
    read = {"states": model.states, "covariates": ("SEX",)}
    step = read_events(path, **read)
    line = read_events(path, **read, convention="linear")
    pd.testing.assert_frame_equal(
        predict(coded, step, numerics=closed), predict(coded, line, numerics=closed)
    )


@pytest.mark.slow
def test_a_steady_state_is_that_of_the_weight_at_its_record(tmp_path):
    """The line that leads to the record ends there."""
    model = write_model(WEIGHTS, {"CLS": 3.0, "KA": 1.0, "V": 20.0}, ("WT",))
    path = tmp_path / "events.csv"
    path.write_text(
        "ID,TIME,AMT,EVID,II,SS,WT\n1,0,0,0,0,0,40\n1,8,100,1,6,1,70\n1,8,0,0,0,0,70\n"
    )
    events = read_events(
        path, states=model.states, covariates=("WT",), convention="linear"
    )
    table = predict(model, events, numerics=Numerics(rtol=1e-10, atol=1e-12))
    ke, ka = 3.0 / 20.0, 1.0
    parts = 1 / np.expm1(6 * np.array([ke, ka]))
    trough = 100 / 20 * ka / (ka - ke) * (parts[0] - parts[1])
    np.testing.assert_allclose(table.conc, [0.0, trough], rtol=1e-7)


def test_a_lagged_dose_by_a_moving_covariate_is_refused(tmp_path):
    text = "lag(depot) = 1\n" + WEIGHTS
    model = write_model(text, {"CLS": 3.0, "KA": 1.0, "V": 20.0}, ("WT",))
    path = tmp_path / "events.csv"
    path.write_text(GROWING)
    events = read_events(
        path, states=model.states, covariates=("WT",), convention="linear"
    )
    with pytest.raises(
        SolverError, match=r"F\(depot\) of made-up is .*Write `backward`"
    ):
        predict(model, events)


ONE = "d/dt(central) = -CL/V*central\nconc = central/V"
LOSS = {"CL": 2.0, "V": 10.0}  # 0.2 per hour
TIES = """ID,TIME,AMT,EVID,CMT,MDV,RATE
1,0,100,1,1,1,0
1,5,0,0,1,0,0
1,5,50,1,central,1,0
1,5,0,2,1,1,0
1,5,30,1,1,1,0
1,5,0,0,1,1,0
1,8,0,3,1,1,0
1,8,0,0,1,0,0
1,9,20,4,1,1,0
1,9,0,0,0,0,0
1,9,40,4,1,1,10
1,9,0,0,1,0,0
1,15,0,0,1,0,0
"""


def test_records_at_one_time_act_in_their_order(tmp_path):
    """Before, between and after two doses; resets empty, and doses with them follow."""
    path = tmp_path / "events.csv"
    path.write_text(TIES)
    model = write_model(ONE, LOSS, ())
    table = predict(model, read_events(path, states=model.states))
    trough = 10 * np.exp(-1.0)
    after = 4 / 2 * (1 - np.exp(-0.8)) * np.exp(-0.4) * 10 / 4
    exact = [trough, trough + 5, trough + 8, 0.0, 2.0, 0.0, after]
    np.testing.assert_allclose(table.conc, exact, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("rate", "line"), [(6.0, "6"), (-1, "-1")])
def test_a_constant_infusion_is_at_its_steady_state(rate, line, tmp_path):
    """AMT 0 with a rate, told or modelled, that ends at the record."""
    path = tmp_path / "events.csv"
    path.write_text(
        f"ID,TIME,AMT,EVID,RATE,SS\n1,3,0,1,{line},1\n1,3,0,0,0,0\n1,7,0,0,0,0\n"
    )
    model = write_model("rate(central) = 6\n" + ONE, LOSS, ())
    table = predict(model, read_events(path, states=model.states))
    np.testing.assert_allclose(table.conc, [3.0, 3.0 * np.exp(-0.8)], rtol=1e-12)


@pytest.mark.parametrize("method", ["closed form", "explicit"])
def test_parameters_change_with_the_occasion(method):
    """Three occasions of one subject, with a dose at each and an infusion across."""
    model = write_model(ONE, LOSS, ())
    clear = np.array([[2.0, 5.0, 1.0]])
    periods = np.array([[-np.inf, 10.0, 20.0]])
    numerics = Numerics(method=method, rtol=1e-10, atol=1e-12)
    time, whole = np.array([[0.0, 10.0, 18.0]]), np.zeros((1, 3), int)
    doses = Doses(
        time=time,
        amount=np.array([[100.0, 100.0, 40.0]]),
        compartment=whole,
        rate=np.array([[0.0, 0.0, 10.0]]),
        interval=0 * time,
        steady=whole,
        event=whole + 1,
        rank=whole + 1,
    )
    found = simulate(
        model,
        LOSS | {"CL": clear},
        doses,
        times([10.0, 18.0, 20.0, 22.0, 30.0]),
        periods=periods,
        numerics=numerics,
    )
    fade = lambda k, t: np.exp(-k * t)  # noqa: E731
    first = 100 * fade(0.2, 10)
    second = (first + 100) * fade(0.5, 8)
    third = second * fade(0.5, 2) + 10 / 0.5 * (1 - fade(0.5, 2))
    fourth = third * fade(0.1, 2) + 10 / 0.1 * (1 - fade(0.1, 2))
    exact = np.array([first, second, third, fourth, fourth * fade(0.1, 8)]) / 10
    np.testing.assert_allclose(found.outputs["conc"][0], exact, rtol=1e-8)


GRIDS = st.lists(st.floats(0.0, 60.0), min_size=1, max_size=9)
FIXED = np.array([3.0, 12.0, 31.0, 60.0])


@pytest.mark.parametrize(
    ("method", "close"),
    [("closed form", 1e-13), ("matrix exponential", 1e-11)]
    + [("explicit", 2e-6), ("stiff", 2e-6)],
)
def test_the_outcome_does_not_depend_on_where_it_is_looked_at(method, close, made):
    """Whatever other times are asked for, doses and an infusion in between."""
    exact = close < 1e-9
    model = made.models["three" if exact else "saturable"]
    doses = made.doses([0.0, 12.0, 30.0], [100, 60, 90], rate=[0.0, 12.0, 0.0])
    inputs = made.spread(model, 3)
    numerics = Numerics(method=method)

    def look(extra):
        grid = np.full(FIXED.size + 9, np.inf)
        grid[: FIXED.size] = FIXED
        grid[FIXED.size : FIXED.size + len(extra)] = extra
        seen = simulate(model, inputs, doses, times(grid), numerics=numerics)
        assert (np.asarray(seen.status) == 0).all()
        return np.asarray(seen.outputs["conc"])[:, : FIXED.size]

    alone = look([])

    @settings(max_examples=25, deadline=None)
    @given(extra=GRIDS)
    def check(extra):
        np.testing.assert_allclose(look(extra), alone, rtol=close, atol=close / 10)

    check()
