"""Delays in a sheet: what they are to the structure, and which are refused."""

import pytest

from vtrial.errors import ModelError
from vtrial.model.definition import define
from vtrial.model.grammar import write_statement
from vtrial.model.sheet import load_model
from vtrial.model.tree import Call, Name, Number
from vtrial.model.typical import typical_of

SHEET = """
model: past
time: d
parameters: {R: {value: 0.3, unit: 1/d}, K: {value: 10}, TAU: {value: 4, unit: d}}
random: [{of: TAU, variance: 0.04}]
equations: |
  tau = TAU*exp(eta.TAU)
  old = lag(n, tau)
  d/dt(n) = R*n*(1 - old/K)
  d/dt(kept) = n - lag(n, tau)
  init(n) = 1
outputs: {n: {}, old: {}}
"""


def told(old: str, new: str) -> list[str]:
    """Return what is said of a sheet with other words."""
    assert old in SHEET
    with pytest.raises(ModelError) as caught:
        load_model(SHEET.replace(old, new))
    return [str(fault) for fault in caught.value.faults]


def test_the_structure_knows_a_delay_by_a_name():
    model = load_model(SHEET)
    (delay,) = model.structure.delays
    assert (delay.name, delay.state) == ("|lag 1", "n")
    # In hours, as everything is inside.
    assert delay.by == Call("*", (Name("tau"), Number(24.0)))
    assert [s.name for s in model.structure.static] == ["tau"]
    assert model.structure.linear == model.structure.growth == ()
    assert model.structure.nonnegative.states == ("n",)
    assert model.recalled == (delay,)
    assert model.warnings == ()
    assert write_statement(model.statements[1]) == "old = lag(n, tau*24)"


def test_what_is_never_negative_was_not_either():
    kept = SHEET.replace("n - lag(n, tau)", "lag(n, tau) - R*kept*lag(kept, tau)")
    assert load_model(kept).structure.nonnegative.states == ("n", "kept")


def test_where_no_past_is_given_it_was_as_it_is():
    model = load_model(SHEET)
    values = model.individual(model.typical())
    first = model.derivative(0.0, (2.0, 0.0), values)
    given = model.derivative(0.0, (2.0, 0.0), values | {"|lag 1": 5.0})
    assert float(first[0]) == pytest.approx(0.3 / 24 * 2 * 0.8)
    assert float(given[0]) == pytest.approx(0.3 / 24 * 2 * 0.5)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("lag(n, tau)\n  d", "lag(tau, R)\n  d", "`lag(` of `tau`, no state"),
        ("lag(n, tau)\n  d", "lag(2*n, tau)\n  d", "`lag(` of an expression"),
        ("lag(n, tau)\n  d", "lag(lag(n, 1), 1)\n  d", "`lag(` of an expression"),
        ("lag(n, tau)\n  d", "lag(n, n)\n  d", "a time of `n`, which moves"),
        ("lag(n, tau)\n  d", "lag(n, t)\n  d", "a time of `t`, which moves"),
        ("lag(n, tau)\n  i", "lag(n, old)\n  i", "a time of `old`, which moves"),
        ("lag(n, tau)\n  i", "lag(n, lag(n, 1))\n  i", "`lag(` within a delay"),
        ("lag(n, tau)\n  d", "lag(n, 0)\n  d", "a time of 0"),
        ("lag(n, tau)\n  d", "lag(n, -2)\n  d", "a time of -2"),
        ("lag(n, tau)\n  d", "lag(n)\n  d", "`lag` with 1 arguments"),
        ("init(n) = 1", "init(n) = lag(n, tau)", "in init(n), which moves"),
        ("init(n) = 1", "lag(n) = lag(n, tau)", "in lag(n), which moves"),
        ("time: d", "time: d\nstep: 1 d\nevents: {x: {hazard: 1}}", "left to chance"),
    ],
)
def test_delays_that_cannot_be_are_refused(old: str, new: str, found: str):
    faults = told(old, new)
    assert any(found in fault for fault in faults), faults


def test_a_wrong_name_is_told_once():
    (fault,) = told("lag(n, tau)\n  d", "lag(m, tau)\n  d")
    assert "`m`, an unknown name" in fault


def test_units_and_typical_values_are_looked_at():
    wrong = load_model(SHEET.replace("value: 4, unit: d", "value: 4, unit: 1/d"))
    assert any("the time of `lag(` in 1/d" in w.found for w in wrong.warnings)
    never = load_model(SHEET.replace("value: 4, unit: d", "value: -4, unit: d"))
    assert any("by -96 for the typical" in f.found for f in typical_of(never).faults)


def test_a_python_function_looks_back_too():
    @define(name="past", parameters={"R": {"value": 0.3}}, outputs={"n": {}})
    def written(m):
        m.ddt.n = m.R * m.n * (1 - m.lag(m.n, 4))
        m.init.n = 1
        m.lag.n = 2

    (delay,) = written.structure.delays
    assert (delay.state, delay.by) == ("n", Number(4.0))
    assert [s.kind for s in written.structure.properties] == ["lag"]
