"""Library models that leave something to chance: exact values of what they describe."""

import numpy as np
import pytest
from scipy import special
from scipy.integrate import quad
from scipy.optimize import brentq

import vtrial as vt
from tests.solver.chance_models import course_of
from vtrial.cohort.draw import sample
from vtrial.dosing import expand, parse_regimen

MANY = 4000
YEAR = 8766 / 24


def near(found, exact, error):
    """Return whether a mean is within three standard errors."""
    return abs(found - exact) < 3 * error


def test_outbreaks_by_chance_end_as_the_embedded_chain_says():
    """50 people, one infectious, R0 2: exact by the chain of its events."""
    people, ratio = 50, 2.0
    chance = np.zeros((people + 1, people + 1))  # susceptible, infectious
    chance[people - 1, 1] = 1.0
    for s in range(people - 1, -1, -1):
        for i in range(people - s, 0, -1):
            infects = ratio * s / people / (ratio * s / people + 1)
            if s:
                chance[s - 1, i + 1] += chance[s, i] * infects
            chance[s, i - 1] += chance[s, i] * (1 - infects)
    final = chance[::-1, 0][1:]  # further 0, 1, ...
    assert final[0] == pytest.approx(0.33783784, abs=1e-8)
    assert final[:6].sum() == pytest.approx(0.49771830, abs=1e-8)
    mean = final @ np.arange(people)
    assert mean == pytest.approx(18.067328, abs=1e-6)
    found = course_of(vt.load_model("outbreak-chance"), [1000], count=MANY)
    assert (found["infectious"] == 0).all()
    further = found["further"][:, 0]
    spread = np.sqrt(final @ (np.arange(people) - mean) ** 2 / MANY)
    assert near(further.mean(), mean, spread)
    for most in (0, 5):
        share = final[: most + 1].sum()
        error = np.sqrt(share * (1 - share) / MANY)
        assert near((further <= most).mean(), share, error)


@pytest.mark.slow
def test_an_outbreak_ends_where_the_final_size_says():
    model = vt.load_model("outbreak-sir")
    found = course_of(model, [200], count=1)["infected"][0, 0]
    ratio = 1.69980 / 0.446866
    left = brentq(lambda s: s - 760 * np.exp(-ratio * (763 - s) / 763), 1e-6, 700)
    assert found == pytest.approx(763 - left, rel=1e-6)
    assert 1 - left / 763 > 0.97, "while two in three were in bed: the known misfit"


@pytest.mark.slow
def test_measures_are_taken_when_so_many_are_ill():
    """At the alarm exactly 5 % are infectious; isolation then changes their course."""
    model = vt.load_model("outbreak-sir")
    days = np.linspace(0, 8, 161)
    plain = course_of(model, days, count=1)["infectious"][0]
    alarm = {"ALARM": 0.05, "ISOLATED": 0.6}
    taken = course_of(model, days, count=1, inputs=alarm)["infectious"][0]
    before = plain < 0.05 * 763 * 0.999
    first = int(np.argmin(before))
    np.testing.assert_allclose(plain[:first], taken[:first], rtol=1e-5)
    assert (taken[first + 1 : first + 20] < plain[first + 1 : first + 20]).all()


@pytest.mark.slow
def test_the_mean_life_to_failure_is_the_integral():
    """A gamma process reaches 20 after 5.125 years, by 4 a year and rate 1."""
    alive = lambda t: special.gammainc(max(4 * t, 1e-9), 20)  # noqa: E731
    mean, _ = quad(alive, 0, 40, limit=400)
    assert mean == pytest.approx(5.125, abs=1e-6)
    inspected = 0.25 * (1 + 20)  # a failure is found at the next inspection
    life = course_of(vt.load_model("machine-wear"), [15 * YEAR], count=MANY)["life"]
    assert near(life.mean(), inspected, 0.25 * np.sqrt(20 / MANY))


@pytest.mark.parametrize(
    ("worn", "share", "seen"), [(15, 0.006737947, 16), (16, 0.018315639, 17)]
)
def test_replacement_by_condition_has_its_closed_form(worn, share, seen):
    model = vt.load_model("machine-wear")
    given = {"WORN": float(worn)}
    found = course_of(model, [12 * YEAR], count=MANY, inputs=given)
    assert share == pytest.approx(np.exp(worn - 20), abs=1e-9)
    error = np.sqrt(share * (1 - share) / MANY)
    assert near(found["broken"].mean(), share, error)
    assert near(found["inspections"].mean(), seen, np.sqrt(worn / MANY))
    assert near(found["life"].mean(), 0.25 * seen, 0.25 * np.sqrt(worn / MANY))
    # Out of service: half a day for each replacement, and 2.5 more after a failure.
    out = 0.5 * found["replaced"] + 2.5 * found["failures"]
    np.testing.assert_allclose(found["out"], out)


@pytest.mark.slow
def test_replacement_by_age_fails_by_the_gamma_law():
    model = vt.load_model("machine-wear")
    found = course_of(model, [4 * YEAR], count=MANY, inputs={"OLD": 3.0})
    share = special.gammaincc(12, 20)
    error = np.sqrt(share * (1 - share) / MANY)
    assert near(found["broken"].mean(), share, error)
    assert found["life"].max() == 3.0


@pytest.fixture(scope="module")
def people():
    """Return subjects of the stroke model, drawn with the cohort that tells nothing."""
    model = vt.load_model("stroke-arm-recovery")
    who = np.arange(MANY)
    drawn = sample(
        vt.load_cohort("alike"), model, seed=4, replicate=0 * who, subject=who
    )
    return model, drawn


def test_classes_have_their_probabilities(people):
    _, drawn = people
    g = np.asarray(drawn.classes["g"])
    assert set(g) == {1, 2, 3, 4, 5}
    shares = np.array([0.2674, 0.1395, 0.1118, 0.1783, 0.3031]) / 1.0001
    for number, share in enumerate(shares, start=1):
        assert near((g == number).mean(), share, np.sqrt(share * (1 - share) / MANY))
    again = sample(
        vt.load_cohort("alike"),
        people[0],
        seed=4,
        replicate=np.array([0]),
        subject=np.array([17]),
    )
    assert float(again.classes["g"][0]) == g[17]
    typical = drawn.typical(people[0])
    assert set(np.asarray(typical.classes["g"])) == {5.0}


def test_recovery_has_the_means_of_the_mixture(people):
    """Integrals over the mixture at weeks 1 and 26: 26.83 and 43.76 points."""
    model, drawn = people
    found = course_of(model, [7, 182], count=MANY, inputs=drawn.inputs())["fm"]
    for place, exact in enumerate((26.8312, 43.7638)):
        error = found[:, place].std() / np.sqrt(MANY)
        assert near(found[:, place].mean(), exact, error)


ICING = {  # sensitivity to insulin, glucose fed [mmol/min]: glucose and insulin at rest
    (0.3e-3, 0.0): (7.14274, 22.24060),
    (0.5e-3, 0.0): (6.38593, 17.70228),
    (1.0e-3, 0.0): (5.46405, 12.24327),
    (0.3e-3, 0.5): (9.51084, 36.77916),
}
MOLAR = 180.156  # glucose [mg/mmol]


def fed(model, rate, *more):
    """Return nutrition [mmol/min] for 200 h, and whatever else is given."""
    nutrition = f"{rate * MOLAR * 200 * 60} mg over 200 h into feed"
    return expand(parse_regimen([nutrition, *more], model=model), {})


@pytest.mark.parametrize(("sense", "rate"), ICING)
def test_glucose_in_intensive_care_rests_where_lsoda_says(sense, rate):
    """Integrated by LSODA at 1e-10; no chance is left where the steps have no size."""
    model = vt.load_model("icing-glucose")
    still = {"SI1": sense, "SI2": sense, "STEP1": 0.0, "STEP2": 0.0}
    doses = fed(model, rate) if rate else None
    found = course_of(model, [100 / 24], count=1, inputs=still, doses=doses)
    at = [found[name][0, 0] for name in ("glucose", "insulin")]
    assert at == pytest.approx(ICING[sense, rate], abs=2e-5)


def test_glucose_in_intensive_care_falls_under_insulin_as_lsoda_says():
    """3 U/h from rest under nutrition: glucose after 1, 2, 4 and 8 h."""
    model = vt.load_model("icing-glucose")
    still = {"SI1": 0.3e-3, "SI2": 0.3e-3, "STEP1": 0.0, "STEP2": 0.0}
    doses = fed(model, 0.5, "1800 nmol over 100 h into plasma at 100 h")  # 6 nmol/U
    at = (100 + np.array([1, 2, 4, 8])) / 24
    found = course_of(model, at, count=1, inputs=still, doses=doses)
    wanted = [8.84125735, 7.89596808, 7.01091915, 6.80090075]
    np.testing.assert_allclose(found["glucose"][0], wanted, rtol=1e-6)


@pytest.mark.slow
def test_sensitivity_to_insulin_wanders_as_its_law_says():
    """Median and spread of its logarithm, and of its hourly steps, in both phases."""
    model = vt.load_model("icing-glucose")
    number = np.arange(MANY)
    alike = vt.load_cohort("alike")
    people = sample(alike, model, seed=1, replicate=0 * number, subject=number)
    at = np.array([6.5, 7.5, 47.5, 48.5]) / 24
    inputs = {name: np.asarray(value) for name, value in people.effects.items()}
    found = course_of(model, at, count=MANY, inputs=inputs)
    course = np.log(found["sensitivity"])
    for place, median, spread, step in (
        (0, 0.26e-3, 0.78, 0.25),
        (2, 0.35e-3, 0.93, 0.17),
    ):
        error = spread / np.sqrt(MANY)
        assert near(course[:, place].mean(), np.log(median), error)
        assert near(course[:, place].std(), spread, error / np.sqrt(2))
        moved = course[:, place + 1] - course[:, place]
        assert near(moved.std(), step, step / np.sqrt(2 * MANY))


SEPSIS = {  # growth and first bacteria: where it ends
    (0.3, 1.0): {"pathogen": 0.0, "harmed": 0.0},
    (0.3, 1.5): {"pathogen": 0.0, "harmed": 17.398956},
    (0.6, 1.0): {"pathogen": 4.9364, "harmed": 17.4925},
}


@pytest.mark.parametrize(("growth", "first"), SEPSIS)
def test_an_infection_ends_in_health_aseptic_or_septic_harm(growth, first):
    """Roots of the equations: health, harm without bacteria, and harm with them."""
    model = vt.load_model("sepsis-inflammation")
    inputs = {"tvKPG": growth, "tvP0": first}
    found = course_of(model, [100], count=1, inputs=inputs)
    for name, wanted in SEPSIS[growth, first].items():
        assert found[name][0, 0] == pytest.approx(wanted, rel=1e-4, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("growth", "border"), [(0.1, 1.882285), (0.3, 1.035667), (0.5, 0.517050)]
)
def test_health_ends_at_a_border_of_first_bacteria(growth, border):
    model = vt.load_model("sepsis-inflammation")
    for share, harmed in ((0.9999, False), (1.0001, True)):
        inputs = {"tvKPG": growth, "tvP0": border * share}
        found = course_of(model, [40], count=1, inputs=inputs)
        assert (found["harmed"][0, 0] > 5) == harmed


@pytest.mark.slow
def test_an_infection_takes_the_course_that_lsoda_gives():
    model = vt.load_model("sepsis-inflammation")
    at = np.array([12, 24, 48, 96, 168]) / 24
    found = course_of(model, at, count=1, inputs={"tvKPG": 0.6, "tvP0": 1.0})
    wanted = {
        "pathogen": [7.560088, 7.429668, 6.081989, 5.275941, 5.017524],
        "harmed": [3.114944, 6.179819, 10.490778, 14.810927, 16.856973],
    }
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name][0], values, rtol=1e-5)
