"""Posteriors by importance sampling, and advice by them, against closed forms."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from tests.twin.conftest import ERROR, VARIANCE, written
from vtrial.errors import DataError, DosingError, FitError
from vtrial.fit.study import read_study
from vtrial.model.sheet import load_model
from vtrial.twin.advice import advise
from vtrial.twin.counterfactual import compare
from vtrial.twin.importance import posterior
from vtrial.twin.person import individuals
from vtrial.twin.prognostic import scores

SEEN = (5.0, 6.5)  # two measurements of clearance
DRAWS = 4000


def normal(values=SEEN):
    """Return mean and deviation of log CL, by the conjugate normal law."""
    weight = len(values) / ERROR**2
    variance = 1 / (1 / VARIANCE + weight)
    total = sum(math.log(one / 4.0) for one in values) / ERROR**2
    return math.log(4.0) + variance * total, math.sqrt(variance)


@pytest.fixture(scope="module")
def found(known, tmp_path_factory):
    rows = ["7,0,100,1,.,.", *(f"7,{t},.,0,{y},2" for t, y in enumerate(SEEN, 1))]
    rows += ["8,0,100,1,.,.", "9,0,100,1,.,.", "9,1,.,0,3,2"]
    path = written(tmp_path_factory.mktemp("known"), rows)
    study = read_study(known, path, unobserved=True)
    return posterior(known, study, draws=DRAWS, seed=3)


def test_draws_are_those_of_the_conjugate_law(found, note):
    for place, values in enumerate((SEEN, (), (3.0,))):
        mean, deviation = normal(values)
        draws = math.log(4.0) + found.draws[place, :, 0]
        gap = abs(draws.mean() - mean) / (deviation / math.sqrt(DRAWS))
        note("posterior mean, in Monte Carlo errors", gap)
        assert gap < 4
        assert draws.std() == pytest.approx(deviation, rel=0.05)
        assert found.modes.eta[place, 0] == pytest.approx(mean - math.log(4), abs=1e-6)
    assert (found.size > 0.8 * 4 * DRAWS).all()


def test_the_likelihood_is_integrated(found):
    logs = np.log(np.array(SEEN))
    covariance = VARIANCE + ERROR**2 * np.eye(2)
    gap = logs - math.log(4.0)
    _, size = np.linalg.slogdet(2 * math.pi * covariance)
    exact = -0.5 * (gap @ np.linalg.solve(covariance, gap) + size) - logs.sum()
    assert found.log_likelihood[0] == pytest.approx(exact, abs=0.02)
    assert found.log_likelihood[1] == pytest.approx(0.0, abs=0.02)


def test_parameters_have_names_and_intervals(found):
    table = individuals(found).set_index(["ID", "PARAMETER"])
    mean, deviation = normal()
    row = table.loc[7, "CL"]
    ends = np.exp(mean + deviation * norm.ppf([0.5, 0.05, 0.95]))
    wanted = row[["median", "low", "high"]].to_numpy(float)
    np.testing.assert_allclose(wanted, ends, rtol=0.02)
    assert row["mode"] == pytest.approx(math.exp(mean), rel=1e-6)
    assert row["typical"] == 4.0


def test_draws_are_keyed_by_person(known, found, tmp_path):
    rows = ["9,0,100,1,.,.", "9,1,.,0,3,2", "5,0,100,1,.,.", "5,1,.,0,4,2"]
    rows += ["6,0,100,1,.,.", "6,1,.,0,9,2", "6,2,.,0,9,2"]
    study = read_study(known, written(tmp_path, rows))
    others = posterior(known, study, draws=DRAWS, seed=3)
    np.testing.assert_allclose(others.draws[0], found.draws[2], atol=1e-12)
    anew = posterior(known, study, draws=DRAWS, seed=4)
    assert not np.allclose(anew.draws, others.draws)


def test_advice_is_the_closed_form(found, note):
    """The area under all of one dose is dose over clearance."""
    advice = advise(
        found,
        ["AUC(conc) in 40 to 60", "P(cleared > 6) <= 0.3"],
        doses="200, 300 mg",
        every="1000 h",
        start=1000.0,
        until=1000.0,
    )
    table = advice.table.set_index(["ID", "DOSE"])
    for person, values in ((7, SEEN), (8, ()), (9, (3.0,))):
        law = norm(*normal(values))
        limit = 1 - law.cdf(math.log(6.0))
        for dose in (200, 300):
            row = table.loc[person, f"{dose} mg every 1000 h"]
            wanted = law.cdf(math.log(dose / 40)) - law.cdf(math.log(dose / 60))
            error = math.sqrt(wanted * (1 - wanted) / DRAWS)
            note("probability of a target", abs(row["target"] - wanted))
            assert row["target"] == pytest.approx(wanted, abs=4 * error)
            assert row["harm"] == pytest.approx(law.cdf(math.log(dose / 60)), abs=0.03)
            assert row["P(cleared > 6)"] == pytest.approx(limit, abs=0.03)
            assert row["utility"] == row["target"] - row["harm"]
            assert row["allowed"] == (row["P(cleared > 6)"] <= 0.3)
    for _, rows in advice.table.groupby("ID"):
        assert (np.diff(rows["utility"]) <= 0).all()
    assert advice.best(7) == "300 mg every 1000 h x 1"
    assert "harm is AUC(conc) > 60" in advice.words


def test_courses_are_those_of_the_draws(found):
    """What is left of 100 mg is known where clearance is, and so is a difference."""
    table = compare(found, "200 mg", [4.0, 8.0], start=0.0).set_index(["ID", "OUTPUT"])
    for person, values in ((7, SEEN), (8, ()), (9, (3.0,))):
        rows = table.loc[person, "conc"]
        ends = np.exp(norm(*normal(values)).ppf([0.5, 0.05, 0.95]))
        for row in rows.itertuples():
            middle, high, low = 5.0 * np.exp(-ends / 20.0 * row.TIME)
            assert row.given == pytest.approx(middle, rel=0.02)
            assert row.instead == pytest.approx(2 * middle, rel=0.02)
            assert row.difference == pytest.approx(middle, rel=0.02)
            assert (row.low, row.high) == pytest.approx((low, high), rel=0.05)


def test_scores_are_means_of_what_is_foretold(found):
    table = scores(found, "conc", 4.0).set_index("ID")
    for person, values in ((7, SEEN), (8, ()), (9, (3.0,))):
        mean, deviation = normal(values)
        points, weights = np.polynomial.hermite_e.hermegauss(30)
        conc = 5.0 * np.exp(-np.exp(mean + deviation * points) / 5.0)
        exact = conc @ weights / weights.sum()
        assert table.loc[person, "score"] == pytest.approx(exact, rel=0.01)
    with pytest.raises(DataError, match="conc"):
        scores(found, "cnc", 4.0)


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ("AUC24 in 400 to 600", "without saying of what"),
        ("AUC24(conc) in 600 to 400", "from low to high"),
        ("AUC24(con) > 3", "Write `conc`"),
        ("AUC72(conc) > 3", "at 72 h after the first new dose, or later"),
        ("peak(conc)", "a range or a comparison"),
        ("P(peak(conc) < 3) <= 2", "from 0 to 1"),
        pytest.param("AUC24(conc) > 5 mmHg", "in mg/L.h", marks=pytest.mark.slow),
        ("peek(conc) > 5", "an unknown function"),
        ("conc > 5 at soon", "a number with min, h, d or wk"),
        ("__import__(os) > 1", "`_`"),
    ],
)
def test_goals_that_cannot_be_read_are_told(found, goal, words):
    with pytest.raises(DataError, match="the goal") as told:
        advise(found, goal, doses="1 g", every="8 h")
    assert words in str(told.value)


def test_doses_that_are_none_are_told(found):
    with pytest.raises(DosingError, match="mg"):
        advise(found, "conc > 5", doses="5 h, 2 d", every="8 h")
    with pytest.raises(DataError, match="500, 750, 1000 mg"):
        advise(found, "conc > 5", doses="500", every="8 h")
    with pytest.raises(DataError, match="above 0 h"):
        advise(found, "conc > 5", doses="1 g", every="0 h")


def test_people_who_do_not_differ_have_no_twin(known, tmp_path):
    sheet = {
        "model": "alike",
        "equations": "d/dt(x) = -K*x\nconc = x",
        "parameters": {"K": {"value": 1.0, "unit": "1/h"}},
        "outputs": {"conc": {"error": {"log": 0.1}}},
    }
    model = load_model(sheet)
    rows = ["1,0,1,1,.", "1,1,.,0,3"]
    study = read_study(model, written(tmp_path, rows, "ID,TIME,AMT,EVID,DV"))
    with pytest.raises(FitError, match="without random effects"):
        posterior(model, study)
