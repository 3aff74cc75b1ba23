"""Rules do what they say, when they say it, on what is known; checked by arithmetic."""

import numpy as np
import pytest

import vtrial as vt
from tests.observe.ruled import acted, doses, rows, trial_of
from vtrial.dosing.doses import Doses, Times
from vtrial.types import Given

DAILY = 'arms: {a: {dose: "100 mg every 24 h x 8"}}\n'
MORNING = "visits: {v: {at: day 0, repeat: every 1 d x 8, measure: [level]}}\n"


def levels(amounts):
    """Return the level before each of daily doses, which halves in a day."""
    found, level = [], 0.0
    for amount in amounts:
        found.append(level)
        level = (level + amount) / 2
    return found


def test_a_dose_is_held_while_a_level_is_high_and_given_again_below(tmp_path):
    """The hold rule of an evtools example: weekly looks become daily ones here."""
    body = DAILY + MORNING + "rules: {hold: {when: level > 60, do: hold},"
    body += " go: {when: level <= 60, do: resume}}\n"
    found = rows(tmp_path, body)
    given, level = [], 0.0
    for _ in range(8):
        given.append(0.0 if level > 60 else 100.0)
        level = (level + given[-1]) / 2
    assert doses(found) == ([*map(float, range(8))], given)
    held = found["arms/a/doses/reason"][0] == Given.HELD
    assert held.tolist() == [amount == 0 for amount in given]
    seen = found["arms/a/measurements/measured"][0, :, 0]
    np.testing.assert_allclose(seen, levels(given), rtol=1e-12)


@pytest.mark.slow
def test_a_delay_moves_doses_and_visits_and_looks_again(tmp_path):
    body = DAILY.replace("24 h x 8", "48 h x 4")
    body += "visits: {v: {at: day 2, repeat: every 2 d x 3, measure: [level]}}\n"
    body += "rules: {wait: {when: level > 20, do: delay 1 d, at most: 2}}\n"
    found = rows(tmp_path, body)
    # 25 before the second dose: a day later it is 12.5, and so on from there.
    assert doses(found) == ([0.0, 3.0, 6.0, 8.0], [100.0] * 4)
    assert acted(found, 0) == [2.0, 5.0]
    taken = found["arms/a/measurements/taken"][0] / 24
    assert taken.tolist() == [2.0, 5.0, 8.0]
    level = found["arms/a/measurements/measured"][0, :, 0]
    second = (100 / 8 + 100) / 4
    third = (second / 2 + 100) / 4
    np.testing.assert_allclose(level, [25.0, second, third], rtol=1e-12)


DONE = {
    "do: reduce to 50 %": [100, 50, 25, 12.5],
    "do: reduce by 30 %, floor: 50": [100, 70, 50, 50],
    "do: reduce by 15 mg, at most: 2": [100, 85, 70, 70],
    "do: increase by 50 %, ceiling: 200 mg": [100, 150, 200, 200],
    "do: increase by 10 mg, lockout: 36 h": [100, 110, 110, 120],
    "do: reduce one step, ladder: '25, 75, 90 mg'": [100, 90, 75, 25],
    "do: reduce 2 steps, ladder: '25, 75, 90 mg'": [100, 75, 25, 25],
    "do: increase one step, ladder: '25, 75, 120 mg'": [100, 120, 120, 120],
    "do: set dose 30 mg": [100, 30, 30, 30],
    "do: set dose (level + 5) mg": [100, 55, 57.5, 60],
    "do: stop": [100, 0, 0, 0],
    "do: hold for 1 d, lockout: 2 d": [100, 0, 100, 0],
}


@pytest.mark.parametrize("rule", DONE)
def test_what_is_done_to_a_dose(tmp_path, rule):
    body = DAILY.replace("x 8", "x 4")
    body += "visits: {v: {at: day 1, repeat: every 1 d x 3, measure: [level]}}\n"
    found = rows(tmp_path, body + f"rules: {{r: {{when: day > 0, {rule}}}}}\n")
    np.testing.assert_allclose(doses(found)[1], DONE[rule], rtol=1e-12)


SEEN = {
    "level > 70": [2, 3, 4, 5, 6, 7],
    "previous(level) > 70": [3, 4, 5, 6, 7],
    "level - ago(level, 3 d) > 30 and day > 2": [3, 4],
    "nadir(level, start) < 60 and day > 2": [3, 4, 5, 6, 7],
    "peak(level, 1 d) > 90": [4, 5, 6, 7],
    "mean(level, start) > 60": [4, 5, 6, 7],
    "count(level > 70, start) >= 3": [4, 5, 6, 7],
    "baseline(level) == 0 and day == 5": [5],
    "days below(level, 60) >= 2": [2, 3, 4, 5, 6, 7],
    "days above(level, 70, start) >= 2": [4, 5, 6, 7],
    "cycle == 3": [3],
    "r11 == 0 and day > 3": [4],
    "dose >= 100 and WT > 0 and day == 1": [1],
    "nadir(level, cycle) == 50": [1],
}


def test_what_a_rule_sees(tmp_path):
    """Levels before doses are 0, 50, 75, 87.5, 93.75, ..."""
    rules = "".join(
        f"  r{place}: {{when: '{when}', do: 'K <- K', also: true}}\n"
        for place, when in enumerate(SEEN)
    )
    found = rows(tmp_path, DAILY + MORNING + "rules:\n" + rules)
    for place, (when, days) in enumerate(SEEN.items()):
        assert acted(found, place) == days, when


WHEN = {
    "confirmed: 3": [3, 4, 5, 6, 7],
    "after: 30 h": [2.25, 3.25, 4.25, 5.25, 6.25, 7.25, 8.25],
    "after: 30 h, at most: 2": [2.25, 3.25],
    "lockout: 50 h": [1, 4, 7],
    "at most: 2": [1, 2],
}


@pytest.mark.slow
def test_when_a_rule_acts(tmp_path):
    rules = "".join(
        f"  r{place}: {{when: level > 40, do: 'K <- K', also: true, {more}}}\n"
        for place, more in enumerate(WHEN)
    )
    found = rows(tmp_path, DAILY + MORNING + "rules:\n" + rules)
    for place, (more, days) in enumerate(WHEN.items()):
        assert acted(found, place) == days, more


def test_a_result_is_not_known_at_once(tmp_path):
    late = MORNING.replace("measure", "known after: 36 h, measure")
    rule = "rules: {r: {when: level > 40, do: 'K <- K'}}\n"
    assert acted(rows(tmp_path, DAILY + late + rule), 0) == [3, 4, 5, 6, 7]


@pytest.mark.slow
def test_the_first_rule_acts_and_others_if_it_lets_them(tmp_path):
    rules = "rules: {one: {when: level > 40, do: 'K <- K'@}, two: {do: 'K <- K'}}\n"
    alone = rows(tmp_path, DAILY + MORNING + rules.replace("@", ""))
    both = rows(tmp_path, DAILY + MORNING + rules.replace("@", ", also: true"))
    assert acted(alone, 1) == [0]
    assert acted(both, 0) == acted(alone, 0) == [1, 2, 3, 4, 5, 6, 7]
    assert acted(both, 1) == [*range(8)]


def test_states_and_parameters_are_set(tmp_path):
    rules = "rules: {empty: {when: day == 2, do: ['central <- 0', 'K <- 2*K']}}\n"
    found = rows(tmp_path, DAILY + MORNING + rules)
    level = found["arms/a/measurements/measured"][0, :, 0]
    np.testing.assert_allclose(level[:5], [0, 50, 75, 25, 31.25], rtol=1e-9)


@pytest.mark.slow
def test_what_is_given_beside_and_what_comes_instead(tmp_path):
    rules = "rules: {more: {when: day == 2, do: give 40 mg and 10 mg},"
    rules += ' other: {when: day == 4, do: "switch to 8 mg every 12 h x 3"}}\n'
    time, amount = doses(rows(tmp_path, DAILY + MORNING + rules))
    assert time == [0, 1, 2, 2, 2, 3, 4, 4.5, 5]
    assert sorted(amount[2:5]) == [10, 40, 100]
    assert amount[5:] == [100, 8, 8, 8]


def test_who_leaves_is_seen_no_more(tmp_path):
    found = rows(
        tmp_path, DAILY + MORNING + "rules: {r: {when: day == 3, do: leave}}\n"
    )
    level = found["arms/a/measurements/measured"][0, :, 0]
    assert np.isfinite(level).tolist() == [True] * 4 + [False] * 4


@pytest.mark.slow
def test_some_decisions_are_not_acted_on(tmp_path):
    rule = "rules: {r: {do: 'K <- K', success: 40 %}}\n"
    found = rows(tmp_path, DAILY + MORNING + rule, subjects=500)
    share = found["arms/a/decisions/acted"].mean()
    assert abs(share - 0.4) < 3 * np.sqrt(0.24 / 4000)


@pytest.mark.slow
def test_what_never_acts_moves_nothing(tmp_path):
    """Nor does another arm, another visit or another rule: to the last bit."""
    noisy = "rules: {down: {when: level > 60, do: stop, success: 0.3}@}\n"
    more = ", no: {when: level > 1e9, do: stop}"
    plain = rows(tmp_path, DAILY + MORNING + noisy.replace("@", ""))
    other = DAILY.replace("}}", '}, b: {dose: "1 mg"}}')
    visit = MORNING.replace("}}", "}, w: {at: 30 h, measure: [mark]}}")
    for body in (
        DAILY + MORNING + noisy.replace("@", more),
        DAILY + visit + noisy.replace("@", ""),
        other + MORNING + "potential: all\n" + noisy.replace("@", ""),
    ):
        found = rows(tmp_path, body)
        for path in ("doses/amount", "decisions/acted"):
            np.testing.assert_array_equal(
                found[f"arms/a/{path}"], plain[f"arms/a/{path}"], err_msg=path
            )


def test_endpoints_count_doses_and_decisions(tmp_path):
    body = DAILY + MORNING + "rules: {r: {when: level > 70, do: hold for 1 d}}\n"
    body += (
        "endpoints:\n  n: {of: dose, take: number}\n  sum: {of: dose, take: total}\n"
    )
    body += "  held: {of: r, take: number, within: day 0 to day 4}\n"
    found = rows(tmp_path, body)
    outcome = found["arms/a/outcomes/outcome"][0]
    given = np.array(doses(found)[1])
    assert outcome.tolist() == [
        (given > 0).sum(),
        given.sum(),
        sum(day <= 4 for day in acted(found, 0)),
    ]


@pytest.mark.slow
def test_realised_doses_solve_to_the_same_course(tmp_path):
    """Every stage goes on where the last one ended: one solution says the same."""
    body = 'arms: {a: {dose: "100 mg over 30 h every 24 h x 8"}}\n' + MORNING
    body += "rules: {r: {when: level > 60, do: reduce to 70 %, lockout: 2 d}}\n"
    trial = trial_of(tmp_path, body)
    people, chosen = trial.people(trial.identity(0)), np.arange(4)
    course = trial.course(trial.protocol.arms[0], people, chosen)
    assert course.given is not None
    time, amount = (np.asarray(v)[:4] for v in course.given[:2])
    whole = np.ones_like(time, int)
    doses_ = Doses(
        time, amount, 0 * whole, amount / 30, 0.0 * time, 0 * whole, whole, whole
    )
    rank = np.broadcast_to(trial.schedule.rank, (4, trial.schedule.rank.size))
    times = Times(np.asarray(course.path.time)[:4], rank)
    inputs = {"K": trial.protocol.model.parameters[0].value, "WT": 70.0}
    path = vt.simulate(trial.protocol.model, inputs, doses_, times)
    np.testing.assert_allclose(
        course.path.outputs["level"][:4], path.outputs["level"], rtol=1e-10
    )
    assert len(set(amount[0].tolist())) > 2


COUNTING = """
model: counting
equations: |
  init(n) = 0
  init(total) = 0
  d/dt(area) = n
  seen = n
every 1 d: |
  n <- n + 1
  total <- total + normal(noise)
outputs:
  seen: {equals: n}
  area: {}
  total: {}
"""


@pytest.mark.slow
def test_rules_act_on_what_chance_has_made(tmp_path):
    """A state that grows by one a day, and is set back when it is seen at three."""
    (tmp_path / "counting.yaml").write_text(COUNTING)
    visits = "visits: {v: {at: day 1, repeat: every 1 d x 8, measure: "
    visits += "[seen, area, total]}}\n"
    plain = "model: counting\narms: {a: {}, b: {rules: []}}\npotential: all\n" + visits
    rules = "rules: {back: {when: seen >= 3, do: 'n <- 0'}}\n"
    found = rows(tmp_path, plain + rules, model="")
    seen = found["arms/a/measurements/measured"][0]
    assert seen[:, 0].tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    np.testing.assert_allclose(seen[:, 1] / 24, [0, 1, 3, 3, 4, 6, 6, 7], atol=1e-9)
    assert acted(found, 0) == [3, 6]
    # Draws of chance are those of who nothing was done to.
    other = found["arms/b/measurements/measured"][0]
    np.testing.assert_array_equal(seen[:, 2], other[:, 2])


TWO = """
model: two
parameters:
  K: {value: 0.1, unit: 1/h}
equations: |
  d/dt(depot)   = -K * depot
  d/dt(central) = -K * central
  level = central
outputs:
  level: {unit: mg}
"""


@pytest.mark.slow
def test_a_change_is_of_the_state_that_it_names_whatever_else_is_given(tmp_path):
    (tmp_path / "two.yaml").write_text(TWO)
    body = 'model: two\narms: {a: {dose: "100 mg into central every 24 h x 3"}}\n'
    body += "visits: {v: {at: day 1, repeat: every 1 d x 2, measure: [level]}}\n"
    body += "rules:\n  more: {when: day == 1, do: give 7 mg into depot, also: true}\n"
    body += "  less: {into: central, do: reduce to 50 %}\n"
    time, amount = doses(rows(tmp_path, body, model=""))
    assert (time, sorted(amount)) == ([0, 1, 1, 2], [7, 25, 50, 100])
