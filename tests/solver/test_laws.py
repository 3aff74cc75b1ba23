"""Laws that hold whatever the numbers: mass, superposition, dose, time, order.

Numbers, doses and times are drawn by chance, a few draws by default and many under
`--slow`. All draws share the number of subjects, doses and times, so that each model
and method is compiled once.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.dosing.doses import times
from vtrial.solver.host import simulate
from vtrial.testing import body, drugged, given_at, grids, individuals, schedules
from vtrial.testing.pool import DRUG, EFFECTS
from vtrial.types import Numerics, Status

DOSES, SUBJECTS = 4, 3
CLOSE = {"closed form": 1e-11, "matrix exponential": 1e-11}
METHODS = ["closed form", "matrix exponential", "explicit", "stiff"]
SHAPES = [(rims, oral) for rims in range(3) for oral in (False, True)]
LINEAR = [
    pytest.param(
        shape, "closed form", marks=[] if sum(shape) != 1 else pytest.mark.slow
    )
    for shape in SHAPES
]
LINEAR += [((2, True), method) for method in METHODS[1:]]
QUICK = [effect for effect in EFFECTS if effect != "cells in a chain"]
NONLINEAR = [(effect, 0, False) for effect in QUICK]
NONLINEAR += [
    pytest.param(effect, rims, oral, marks=pytest.mark.slow)
    for effect in EFFECTS
    for rims, oral in ((0, False), (1, True), (2, False))
    if (effect, rims, oral) not in NONLINEAR
]
linear = pytest.mark.parametrize(("shape", "method"), LINEAR)
nonlinear = pytest.mark.parametrize(("effect", "rims", "oral"), NONLINEAR)
solvers = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def hold(request):
    """Run a law on drawn data: the same few draws each time, or many new ones."""
    slow = request.config.getoption("--slow")

    def run(law):
        few = settings(max_examples=4, derandomize=True, deadline=None, database=None)
        many = settings(max_examples=40, deadline=None)
        (many if slow else few)(given(data=st.data())(law))()

    return run


def solved(model, inputs, doses, grid, method="closed form", *, bits=64):
    tight = bits == 64
    numerics = Numerics(
        method=method,
        rtol=1e-9 if tight else 1e-5,
        atol=1e-11 if tight else 1e-7,
        precision=bits,
    )
    found = simulate(
        model, inputs, doses, times(grid), numerics=numerics, keep_states=True
    )
    assert (np.asarray(found.status) == Status.SOLVED).all()
    return found


def near(found, wanted, method="closed form", scale=None, close=None):
    close = close or CLOSE.get(method, 1e-6)
    wanted = np.asarray(wanted)
    scale = float(np.abs(wanted).max()) if scale is None else scale
    np.testing.assert_allclose(found, wanted, rtol=close, atol=close * (scale + 1e-9))


def a_trial(data, model, *, most=DOSES):
    """Draw subjects, doses and observation times, one of them soon after a dose.

    What is near is judged by the highest value seen: one must be near the peak.
    """
    inputs = data.draw(individuals(model, subjects=SUBJECTS))
    doses, grid = data.draw(schedules(most=most)), data.draw(grids())
    soon = np.asarray(doses.time[0]).min() + 0.5
    return inputs, doses, np.sort(np.append(grid[1:], soon))


def padded(doses):
    """Lengthen doses to the common number."""
    real = np.isfinite(np.asarray(doses.time[0]))
    parts = (np.asarray(v[0])[real] for v in (doses.time, doses.amount, doses.rate))
    time, amount, rate = parts
    return given_at(time, amount, rate=rate, most=DOSES)


def together(one, other):
    """Give both, in the order of time."""
    parts = [
        np.concatenate([np.asarray(doses._asdict()[name][0]) for doses in (one, other)])
        for name in ("time", "amount", "rate")
    ]
    time, amount, rate = (part[np.isfinite(parts[0])] for part in parts)
    order = np.argsort(time, kind="stable")
    return given_at(time[order], amount[order], rate=rate[order], most=DOSES)


def given_until(doses, grid):
    """Return how much was given before each time."""
    time, amount, rate = (
        np.asarray(v[0])[:, None] for v in (doses.time, doses.amount, doses.rate)
    )
    since = np.asarray(grid)[None, :] - np.where(np.isfinite(time), time, 1e9)
    infused = np.clip(since * rate, 0.0, amount)
    return np.where(rate > 0, infused, amount * (since > 0)).sum(axis=0)


@pytest.mark.slow
@linear
def test_response_is_linear_in_dose(hold, shape, method):
    model = body(*shape)

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        factor = data.draw(st.floats(0.01, 100.0))
        more = doses._replace(amount=factor * doses.amount, rate=factor * doses.rate)
        plain = solved(model, inputs, doses, grid, method).states
        near(solved(model, inputs, more, grid, method).states, factor * plain, method)


@linear
def test_responses_add_up(hold, shape, method):
    model = body(*shape)

    @hold
    def law(data):
        inputs, one, grid = a_trial(data, model, most=2)
        two = data.draw(schedules(most=2))
        parts = [
            solved(model, inputs, padded(d), grid, method).states for d in (one, two)
        ]
        both = solved(model, inputs, together(one, two), grid, method).states
        near(both, parts[0] + parts[1], method)


@linear
def test_response_shifts_with_time(hold, shape, method):
    model = body(*shape)

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        shift = data.draw(st.integers(1, 4000)) / 4
        later = doses._replace(time=doses.time + shift)
        plain = solved(model, inputs, doses, grid, method).states
        moved = solved(model, inputs, later, grid + shift, method).states
        near(moved, plain, method)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(shape, marks=[] if shape == (2, True) else pytest.mark.slow)
        for shape in SHAPES
    ],
)
def test_all_methods_agree_on_a_body(hold, shape):
    """Within what each loses of the amount given, for that is where it begins."""
    model = body(*shape)

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        wanted = solved(model, inputs, doses, grid).states
        for method in METHODS[1:]:
            found = solved(model, inputs, doses, grid, method).states
            near(found, wanted, method, scale=float(doses.amount.sum()))


@linear
def test_a_body_that_takes_split_doses_sees_no_difference(hold, shape, method):
    hold(_split(body(*shape), method))


@nonlinear
def test_a_drug_given_in_split_doses_does_the_same(hold, effect, rims, oral):
    hold(_split(drugged(effect, rims, oral), "explicit"))


def _split(model, method):
    """Two halves at once are one; an infusion in two pieces is one."""

    def law(data):
        inputs, doses, grid = a_trial(data, model, most=2)
        share = data.draw(st.sampled_from([0.125, 0.5, 0.75]))
        whole = padded(doses)
        time, amount, rate = (
            np.asarray(v[0])[np.isfinite(np.asarray(whole.time[0]))]
            for v in (whole.time, whole.amount, whole.rate)
        )
        lasts = np.divide(amount, rate, out=np.zeros_like(rate), where=rate > 0)
        pieces = together(
            given_at(time, share * amount, rate=rate),
            given_at(time + share * lasts, (1 - share) * amount, rate=rate),
        )
        halves = together(
            given_at(time, share * amount, rate=share * rate),
            given_at(time, (1 - share) * amount, rate=(1 - share) * rate),
        )
        wanted = solved(model, inputs, whole, grid, method).states
        for split in (pieces, halves):
            near(solved(model, inputs, split, grid, method).states, wanted, method)

    return law


@pytest.mark.slow
@nonlinear
def test_what_was_given_is_in_the_body_or_gone(hold, effect, rims, oral):
    model = drugged(effect, rims, oral)
    place = [i for i, state in enumerate(model.states) if state in DRUG]

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        wanted = np.broadcast_to(given_until(doses, grid), (SUBJECTS, grid.size))
        for method in ("explicit", "stiff"):
            states = np.asarray(solved(model, inputs, doses, grid, method).states)
            total = states[:, :, place].sum(axis=2)
            np.testing.assert_allclose(total, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@nonlinear
def test_explicit_and_stiff_agree(hold, effect, rims, oral):
    model = drugged(effect, rims, oral)

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        one, other = (
            solved(model, inputs, doses, grid, method)
            for method in ("explicit", "stiff")
        )
        for name in one.outputs:
            near(one.outputs[name], other.outputs[name], "explicit")


@nonlinear
def test_effects_shift_with_time(hold, effect, rims, oral):
    """A drug's effect begins from a steady state, so waiting changes nothing."""
    model = drugged(effect, rims, oral)

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        shift = data.draw(st.integers(1, 400)) / 4
        later = doses._replace(time=doses.time + shift)
        plain = solved(model, inputs, doses, grid, "explicit").states
        moved = solved(model, inputs, later, grid + shift, "explicit").states
        near(moved, plain, "explicit")


@linear
def test_a_body_does_not_mind_when_it_is_looked_at(hold, shape, method):
    hold(_unseen(body(*shape), method))


@pytest.mark.slow
@nonlinear
def test_an_effect_does_not_mind_when_it_is_looked_at(hold, effect, rims, oral):
    hold(_unseen(drugged(effect, rims, oral), "stiff"))


def _unseen(model, method):
    """Other observation times change no value at those that are the same."""

    def law(data):
        inputs, doses, grid = a_trial(data, model)
        others = data.draw(grids())
        kept = np.array(sorted(data.draw(st.sets(st.integers(0, 7), min_size=1))))
        mixed = np.where(np.isin(np.arange(8), kept), grid, others)
        order = data.draw(st.permutations(range(8)))
        plain = solved(model, inputs, doses, grid, method).states
        found = solved(model, inputs, doses, mixed[np.array(order)], method).states
        place = np.array([order.index(k) for k in kept])
        scale = float(np.abs(plain).max())
        near(found[:, place], plain[:, kept], method, scale=scale)

    return law


@linear
def test_subjects_of_a_body_are_alone(hold, shape, method):
    hold(_alone(body(*shape), method))


@pytest.mark.slow
@pytest.mark.parametrize("effect", QUICK)
@pytest.mark.parametrize("method", ["explicit", "stiff"])
def test_subjects_under_a_drug_are_alone(hold, effect, method):
    hold(_alone(drugged(effect), method))


def _alone(model, method):
    """Neither order nor number of the others matters: to no bit where there is a
    formula, to rounding where there are steps.
    """

    def same(found, wanted):
        if method in CLOSE:
            np.testing.assert_array_equal(found, wanted)
        else:
            near(found, wanted, close=1e-11)

    def law(data):
        inputs, doses, grid = a_trial(data, model)
        plain = solved(model, inputs, doses, grid, method)
        turned = {name: values[::-1] for name, values in inputs.items()}
        back = solved(model, turned, doses, grid, method)
        first = {name: values[:2] for name, values in inputs.items()}
        fewer = solved(model, first, doses, grid, method)
        same(back.states[::-1], plain.states)
        same(fewer.states, plain.states[:2])

    return law


@pytest.mark.parametrize(
    ("model", "method"),
    [
        (body(1, True), "closed form"),
        pytest.param(body(1, True), "matrix exponential", marks=pytest.mark.slow),
        (drugged("elimination that saturates"), "explicit"),
        (drugged("elimination that saturates"), "stiff"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_subjects_are_alone_in_a_crowd(hold, model, method):
    """Among 150 subjects, solved in several chunks, the first three are the same."""
    crowd = 50

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        many = {name: np.tile(values, crowd) for name, values in inputs.items()}
        plain = solved(model, inputs, doses, grid, method)
        found = solved(model, many, doses, grid, method)
        wanted = np.tile(np.asarray(plain.states), (crowd, 1, 1))
        near(found.states, wanted, close=1e-13 if method in CLOSE else 1e-11)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(0, True), (2, True)])
def test_32_bits_are_near_64_in_closed_form(hold, shape):
    model = body(*shape)

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        single, double = (
            solved(model, inputs, doses, grid, bits=bits).states for bits in (32, 64)
        )
        assert single.dtype == np.float32
        single, double = (np.asarray(states, float) for states in (single, double))
        peak = np.abs(double).max(axis=(1, 2), keepdims=True)
        assert (np.abs(single - double) <= 1e-5 * np.maximum(peak, 1e-6)).all()


@pytest.mark.parametrize(
    ("effect", "method"),
    [
        ("elimination that saturates", "explicit"),
        ("elimination that saturates", "stiff"),
        ("binding to a target", "stiff"),
    ],
)
def test_32_bits_are_near_64_by_steps(hold, effect, method):
    model = drugged(effect)

    @hold
    def law(data):
        inputs, doses, grid = a_trial(data, model)
        single, double = (
            solved(model, inputs, doses, grid, method, bits=bits) for bits in (32, 64)
        )
        for name, values in double.outputs.items():
            assert single.outputs[name].dtype == np.float32
            near(single.outputs[name].astype(float), values, close=1e-3)


@pytest.mark.parametrize(
    "method", ["auto", "stiff", pytest.param("explicit", marks=pytest.mark.slow)]
)
def test_nothing_is_lost(made, method):
    """What was given is still there, or was eliminated into a state of its own."""
    model = made.model(
        "d/dt(depot) = -KA*depot\n"
        "d/dt(central) = KA*depot - CL/V*central - Q/V*central + Q/V2*rim\n"
        "d/dt(rim) = Q/V*central - Q/V2*rim\n"
        "d/dt(gone) = CL/V*central",
        outputs=("gone",),
        **{"KA": 1.0, "CL": 5.0, "V": 20.0, "Q": 8.0, "V2": 60.0},
    )
    doses = made.doses([0.0, 5.0, 8.0], [100.0, 80.0, 60.0], rate=[0.0, 8.0, 30.0])
    grid = np.array([0.0, 3.0, 10.0, 24.0, 47.75, 60.0])
    found = solved(model, made.spread(model, 4), doses, grid, method)
    given_by = [0.0, 100.0, 200.0, 240.0, 240.0, 240.0]
    total = np.asarray(found.states).sum(axis=2)
    wanted = np.broadcast_to(given_by, total.shape)
    np.testing.assert_allclose(total, wanted, rtol=1e-7, atol=1e-9)


@solvers
def test_overlapping_infusions_add_their_rates(made, method):
    """Three infusions at once are one of three times the rate."""
    model = body(2, True)
    three, two = np.array([0.0, 0.0, 0.0, 2.0]), np.array([0.0, 2.0])
    many = given_at(
        three, np.array([10.0] * 3 + [30.0]), rate=np.array([2.0] * 3 + [6.0])
    )
    one = given_at(two, 30.0, rate=6.0, most=DOSES)
    grid = np.array([1.0, 2.0, 4.0, 5.0, 5.5, 6.0, 7.0, 9.0])
    inputs = made.spread(model, SUBJECTS)
    near(
        solved(model, inputs, many, grid, method).states,
        solved(model, inputs, one, grid, method).states,
        method,
    )


@pytest.mark.parametrize(
    "method", [*METHODS[:2], "stiff", pytest.param("explicit", marks=pytest.mark.slow)]
)
def test_steady_state_is_what_repetition_leads_to(made, method):
    """With lags and infusions longer than the interval, too; a case is a subject."""
    text = "lag(central) = LAG\nd/dt(depot) = -KA*depot\n"
    text += "d/dt(central) = KA*depot - CL/V*central\nconc = central/V"
    model = made.model(text, KA=1.0, CL=8.0, V=30.0, LAG=1.0)
    rate = np.array([0.0, 20.0, 4.0, 0.0, 0.0, 20.0, 4.0, 0.0])[:, None]
    lag = np.array([0.0, 0.0, 5.0, 30.0] * 2)
    inputs = {"KA": 1.0, "CL": np.repeat([8.0, 4.0], 4), "V": 30.0, "LAG": lag}
    place = {"compartment": 1, "rate": rate}
    repeats = 60
    many = made.doses(12.0 * np.arange(repeats), [100.0] * repeats, **place)
    once = made.doses([0.0], [100.0], steady=1, interval=12.0, **place)
    begin = 12.0 * (repeats - 1)
    grid = np.array([0.5, 3.0, 7.0, 11.5])
    wanted = solved(model, inputs, many, grid + begin, method).states
    near(solved(model, inputs, once, grid, method).states, wanted, method)


def test_a_reset_empties_all_and_cancels_what_is_pending(made):
    text = "lag(depot) = 4\nd/dt(depot) = -KA*depot\n"
    text += "d/dt(central) = KA*depot - CL/V*central\nconc = central/V"
    model = made.model(text, KA=1.0, CL=5.0, V=50.0)
    doses = made.doses(
        [0.0, 0.0, 8.0, 10.0], [100.0, 50.0, 70.0, 0.0], rate=[0.0, 2.0, 0, 0]
    )
    doses = doses._replace(event=np.array([[1, 1, 1, 3]]))
    found = solved(model, model.typical(), doses, np.array([9.9, 10.5, 40.0]))
    assert float(found.outputs["conc"][0, 0]) > 0
    assert (np.asarray(found.states)[0, 1:] == 0.0).all()


def test_conditions_work_in_32_bits(made):
    model = made.model(
        "k = if(t < 2, 2*K, K)\nd/dt(x) = -k*x*(x > 0)", outputs=("x",), K=0.1
    )
    numerics = Numerics(method="explicit", precision=32, rtol=1e-5, atol=1e-6)
    found = simulate(
        model,
        {"K": 0.1},
        made.doses([0.0], [10.0]),
        times([2.0, 4.0]),
        numerics=numerics,
    )
    assert found.outputs["x"].dtype == np.float32
    wanted = 10 * np.exp([-0.4, -0.6])
    np.testing.assert_allclose(found.outputs["x"][0], wanted, rtol=1e-3)
