"""Ticks and events: exact laws, exact places, and draws that nothing moves."""

import jax
import numpy as np
import pytest
from scipy import stats

from tests.solver.chance_models import course_of, keys_of, model_of
from tests.solver.conftest import make_doses
from vtrial.dosing.doses import no_doses, times
from vtrial.dosing.schedule import Schedule
from vtrial.errors import SolverError
from vtrial.solver.by_chance import solve_by_chance
from vtrial.solver.host import simulate
from vtrial.solver.program import compile_program

OU = """
equations: |
  y = 5 + z
every 1 d: |
  z <- z*exp(-1/15) + 2.5*sqrt(1 - exp(-2/15))*normal(z)
"""
MANY = 4000
ERRORS = 3.0  # standard errors: 1 in 370 seeds is further away, and the seed is fixed


def near(found, exact, error):
    """Return whether a mean is within three standard errors."""
    return abs(found - exact) < ERRORS * error


@pytest.mark.slow
def test_an_ornstein_uhlenbeck_process_has_its_moments():
    """From 0: variance 2.5^2 (1 - e^(-2t/15)), correlation e^(-s/15) over s days."""
    y = course_of(model_of(OU), [0, 5, 40, 50], count=MANY)["y"] - 5
    assert (y[:, 0] == 0).all()
    for place, day in ((1, 5), (2, 40), (3, 50)):
        variance = 2.5**2 * (1 - np.exp(-2 * day / 15))
        assert near(y[:, place].mean(), 0, np.sqrt(variance / MANY))
        assert near(y[:, place].var(), variance, variance * np.sqrt(2 / MANY))
    together = np.mean(y[:, 2] * y[:, 3])
    exact = np.exp(-10 / 15) * 2.5**2 * (1 - np.exp(-80 / 15))
    assert near(together, exact, 2.5**2 * np.sqrt((1 + np.exp(-20 / 15)) / MANY))


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        ("normal(a)", stats.norm()),
        ("uniform(a)", stats.uniform()),
        ("gamma(a, 0.7, 2)", stats.gamma(0.7, scale=0.5)),
        ("poisson(a, 3.5)", stats.poisson(3.5)),
        ("bernoulli(a, 0.3)", stats.bernoulli(0.3)),
    ],
)
def test_draws_have_their_laws(draw, law):
    model = model_of(f"equations: |\n  y = x\nevery 1 d: |\n  x <- {draw}\n")
    y = course_of(model, [1, 2], count=MANY)["y"]
    assert near(y[:, 0].mean(), law.mean(), law.std() / np.sqrt(MANY))
    kurtosis = float(law.stats(moments="k")) + 2
    assert near(y[:, 0].var(), law.var(), law.var() * np.sqrt(kurtosis / MANY))
    apart = np.corrcoef(y.T)[0, 1]
    assert near(apart, 0, 1 / np.sqrt(MANY))


def test_a_markov_chain_has_its_stationary_shares():
    """Take, slip, holiday of Vrijens 2008 as three states: .900, .036, .064."""
    model = model_of(
        """
equations: |
  init(s) = 1
  take = s == 1
  slip = s == 2
every 1 d: |
  u = uniform(u)
  stay = [0.9345, 0.05, 0.613][s]
  s <- if(s == 1, if(u < stay, 1, if(u < stay + 0.0379, 2, 3)), if(u < stay, s, 1))
""",
        outputs="take: {}, slip: {}",
    )
    found = course_of(model, [60], count=MANY)
    rates = np.array([[0.9345, 0.0379, 0.0276], [0.95, 0.05, 0], [0.387, 0, 0.613]])
    values, vectors = np.linalg.eig(rates.T)
    share = np.real(vectors[:, np.argmax(np.real(values))])
    share /= share.sum()
    for name, exact in zip(("take", "slip"), share, strict=False):
        error = np.sqrt(exact * (1 - exact) / MANY)
        assert near(found[name].mean(), exact, error)


@pytest.mark.slow
def test_what_is_added_moves_no_draw():
    """Another output, update, draw, event or visit changes no bit of the rest."""
    at = [0, 1, 7.5, 30]
    plain = course_of(model_of(OU), at, count=50)["y"]
    more = model_of(
        """
equations: |
  other = w + count(never)
  y = 5 + z
every 1 d: |
  w <- w + gamma(wear, 2, 1)
  z <- z*exp(-1/15) + 2.5*sqrt(1 - exp(-2/15))*normal(z)
events:
  never: {hazard: 0.3, recurrent: true}
""",
        outputs="y: {}, other: {}",
    )
    visited = course_of(more, [0, 0.5, 1, 2, 7.5, 30], count=50)["y"]
    np.testing.assert_array_equal(plain, visited[:, [0, 2, 4, 5]])
    fewer = course_of(model_of(OU), at, count=7)["y"]
    np.testing.assert_array_equal(plain[:7], fewer)
    assert (plain != course_of(model_of(OU), at, count=50, seed=1)["y"])[:, 1:].all()


COUNTED = """
equations: |
  n = count(hfh)
  since = t - last(hfh)
  {more}
{every}
events:
  hfh: {{hazard: {hazard}, recurrent: true, at most: 2}}
"""


@pytest.mark.parametrize(
    ("every", "hazard", "more"),
    [
        ("", "0.4", ""),
        ("every 3 d: |\n  b <- bernoulli(b, 0.5)", "0.4 + 0*b", ""),
        ("", "0.4*exp(0*A)", "d/dt(A) = -0.1*A\n  init(A) = 1"),
    ],
)
def test_a_constant_hazard_gives_poisson_counts(every, hazard, more):
    count = 400 if more else MANY
    text = COUNTED.format(every=every, hazard=hazard, more=more)
    model = model_of(text, outputs="n: {}, since: {}")
    found = course_of(model, [10], count=count)
    n, since = found["n"][:, 0], found["since"][:, 0]
    assert near(n.mean(), 4, 2 / np.sqrt(count))
    assert near(n.var(), 4, np.sqrt((4 + 2 * 16) / count))  # fourth moment of Poisson
    # Backwards from now the last is Exp(0.4), cut off where there was none.
    seen = since[n > 0]
    mean = 1 / 0.4 - 10 * np.exp(-4) / (1 - np.exp(-4))
    assert near(seen.mean(), mean, 2.5 / np.sqrt(count))
    assert np.isinf(since[n == 0]).all()


@pytest.mark.slow
def test_a_hazard_is_integrated_to_where_it_comes():
    """Time to the first event of a Weibull hazard: survival exp(-(t/8)^2)."""
    model = model_of(
        """
equations: |
  when = if(count(death) > 0, last(death), 99)
events:
  death: {hazard: 2*t/64}
""",
        outputs="when: {}",
    )
    when = course_of(model, [40], count=500)["when"][:, 0]
    assert stats.kstest(when, stats.weibull_min(2, scale=8).cdf).pvalue > 0.01


DECAY = """
equations: |
  d/dt(A) = -k*A
  init(A) = 1
  k = 0.3
  n = count(low)
  at = last(low)
events:
  low: {when: "A <= 0.25", recurrent: true, then: ["A <- 1"]}
"""


@pytest.mark.slow
def test_a_condition_is_located_to_a_millionth():
    """A falls from 1 to 1/4 in ln 4/0.3 days, again and again."""
    model = model_of(DECAY, outputs="A: {}, n: {}, at: {}")
    period = np.log(4) / 0.3
    found = course_of(model, [20.0], count=3)
    assert (found["n"] == 4).all()
    np.testing.assert_allclose(found["at"], 4 * period, rtol=1e-6)
    np.testing.assert_allclose(found["A"], np.exp(-0.3 * (20 - 4 * period)), rtol=1e-5)


@pytest.mark.slow
def test_a_condition_that_stays_true_comes_once():
    body = DECAY.replace('["A <- 1"]', "[]")
    found = course_of(model_of(body, outputs="n: {}, at: {}"), [20.0], count=2)
    assert (found["n"] == 1).all()
    np.testing.assert_allclose(found["at"], np.log(4) / 0.3, rtol=1e-6)


@pytest.mark.slow
def test_a_condition_may_be_made_of_several():
    body = DECAY.replace("A <= 0.25", "A <= 0.25 or (not A > 0.5 and t > 3)")
    found = course_of(model_of(body, outputs="n: {}, at: {}"), [3.5], count=2)
    np.testing.assert_allclose(found["at"], 3.0, atol=1e-6)


def test_one_event_may_bring_another_at_once():
    model = model_of(
        """
equations: |
  init(x) = 0
  init(y) = 0
every 1 d: |
  x <- x + 1
events:
  first: {when: "x >= 3", then: ["y <- 1"]}
  second: {when: "y >= 1 and count(first) == 1", then: ["y <- y + 10", "x <- 0"]}
""",
        outputs="x: {}, y: {}",
    )
    found = course_of(model, [2, 3, 5], count=1)
    assert found["y"].tolist() == [[0, 11, 11]]
    assert found["x"].tolist() == [[2, 0, 2]], "seen behind the tick and its events"


@pytest.mark.slow
def test_doses_come_behind_the_tick_at_their_time():
    """A dose at a tick adds to what the tick made of the state."""
    model = model_of(
        """
equations: |
  d/dt(A) = -0.2*A
every 1 d: |
  A <- 2*A + 1
""",
        outputs="A: {}",
    )
    doses = make_doses([24.0, 36.0, 48.0], [10.0, 5.0, 1.0])
    loss = np.exp(-0.1)
    at_one = 1.0
    half = (at_one + 10) * loss
    two = 2 * (half + 5) * loss + 1
    before = course_of(model, [1, 1.5, 2], count=2, doses=doses)["A"]
    np.testing.assert_allclose(before, [[at_one, half, two]] * 2, rtol=1e-6)
    after = course_of(model, [1, 1.5, 2], count=2, doses=doses, rank=2)["A"]
    np.testing.assert_allclose(after, [[11, half + 5, two + 1]] * 2, rtol=1e-6)


@pytest.mark.slow
def test_infusions_run_on_through_ticks():
    model = model_of(
        """
equations: |
  d/dt(A) = -k*A
  k = 0.1*(1 + b)
every 0.25 d: |
  b <- 1 - b
""",
        outputs="A: {}",
    )
    doses = make_doses([0.0, 30.0], [24.0, 12.0], rate=[1.0, 4.0])
    found = course_of(model, [0.5, 1.0, 1.5, 2.0], count=2, doses=doses)["A"]
    amount, wanted = 0.0, []
    for hour in range(48 * 8):  # exact from piece to piece: constant rate and k
        time = hour / 8
        k = 0.1 * (1 + int(time // 6) % 2) / 24
        rate = (time < 24) * 1.0 + (30 <= time < 33) * 4.0
        amount = rate / k + (amount - rate / k) * np.exp(-k / 8)
        if (hour + 1) % 96 == 0:
            wanted.append(amount)
    np.testing.assert_allclose(found, [wanted] * 2, rtol=1e-6)


@pytest.mark.slow
def test_stages_end_where_the_whole_does():
    """What is solved in two stages is what is solved in one, draws included."""
    model = model_of(
        """
equations: |
  d/dt(A) = -0.2*(1 + b)*A
  init(A) = 1
  n = count(low)
  z = b
every 1 d: |
  b <- gamma(b, 2, 1)
events:
  low: {when: "A < 0.4", recurrent: true, then: ["A <- A + 1"]}
  hit: {hazard: 0.2*A, recurrent: true, then: ["b <- 0"]}
""",
        outputs="A: {}, n: {}, z: {}",
    )
    program, keys = compile_program(model, Schedule()), keys_of(20)
    at = times(24 * np.array([1.0, 2.0, 3.5, 6.0]))

    @jax.jit
    def both():
        solve = lambda **how: solve_by_chance(  # noqa: E731
            program, {}, no_doses(), at, keys=keys, ticks=8, **how
        )
        whole, _ = solve()
        first, standing = solve(until=48.0)
        second, end = solve(start=standing)
        return whole, first, second, end

    whole, first, second, end = jax.tree.map(np.asarray, both())
    for name, value in whole.outputs.items():
        joined = np.where(np.isnan(first.outputs[name]), second.outputs[name], 0)
        joined += np.nan_to_num(first.outputs[name])
        np.testing.assert_allclose(joined, value, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(
            first.outputs[name][:, 1], second.outputs[name][:, 1]
        )
    assert np.isfinite(end.times).sum() == end.fired.sum()


def test_nothing_calls_the_host():
    program, keys = compile_program(model_of(OU), Schedule()), keys_of(3)

    def solve(keys):
        at = times([24.0, 240.0])
        return solve_by_chance(program, {}, no_doses(), at, keys=keys, ticks=11)[0]

    text = jax.jit(solve).lower(keys).as_text()
    assert "while" in text
    assert "callback" not in text


def test_a_model_with_chance_needs_a_seed():
    with pytest.raises(SolverError, match="left to chance"):
        simulate(model_of(OU), {}, no_doses(), times([24.0]))
    found = simulate(model_of(OU), {}, no_doses(), times([24.0]), seed=0)
    assert float(found.outputs["y"][0, 0]) == course_of(model_of(OU), [1], count=1)["y"]
