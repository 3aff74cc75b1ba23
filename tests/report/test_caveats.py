"""What stands against a number is told beside it, and below the answer."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vtrial.analysis.estimates import MISSING, OPERATING, UNDECIDED
from vtrial.endpoint.endpoint import Endpoint
from vtrial.model.model import Covariate, Parameter
from vtrial.report.answer import answer_in_words
from vtrial.report.design import endpoint_in_words, population_in_words
from vtrial.report.flow import flow_of, flow_table
from vtrial.report.subgroups import effect_between, group_words
from vtrial.report.tables import (
    contrast_unit,
    contrasts_table,
    endpoints_tables,
    published_table,
    published_words,
)
from vtrial.report.words import amount, error_words, interval
from vtrial.report.worth import operating_table


def answer(protocol, estimates, **frames):
    published = frames.get("published", estimates.published)
    return answer_in_words(
        protocol,
        frames.get("endpoints", estimates.endpoints),
        frames.get("contrasts", estimates.contrasts),
        published_words(protocol, published),
        flow=flow_of(protocol, frames.get("flow", estimates.flow)),
    )


def strong(sentences):
    return " ".join(one.words for one in sentences if one.strong)


def test_reasons_stand_beside_the_missing_and_apart_from_failures(protocol, estimates):
    missing = pd.DataFrame(
        [
            ("d60", "nadir", "left before", 5),
            ("d60", "nadir", "no value in the span", 2),
        ],
        columns=MISSING,
    )
    frame = estimates.endpoints.assign(failed=3)
    (table,) = endpoints_tables(protocol, frame, missing)
    (subjects,) = [row for row in table.rows if row[0].text == "ANC nadir"]
    said = subjects[2].small
    assert (
        said == "5 missing: left before, 2 missing: no value in the span, 3 not solved"
    )


def test_bounds_and_everybody_stand_below_an_estimate(protocol, estimates):
    frame = estimates.endpoints.assign(failed=3)
    share = frame["statistic"] == "share"
    frame.loc[share, ["least", "most"]] = (0.3, 0.4)
    frame.loc[share, ["truth", "truth_error"]] = (0.38, 0.001)
    cell = endpoints_tables(protocol, frame, estimates.missing)[0].rows[1][2]
    assert "30.0 to 40.0\u202f% whatever the unsolved had shown" in cell.small
    assert "everybody 38.0\u202f%" in cell.small


def test_a_number_of_some_trials_says_so(protocol, estimates):
    frame = estimates.endpoints
    lone = frame[frame["statistic"] == "mean"].assign(
        statistic="geometric mean", replicates=1, undefined=31
    )
    both = pd.concat([frame, lone])
    (table,) = endpoints_tables(protocol, both, estimates.missing)
    found = [row for row in table.rows if row[1].text == "geometric mean"]
    words = "from 1 of 32 trials: in the others a value is not positive"
    assert words in found[0][2].small


def test_undefined_trials_are_told_below_the_answer(protocol, estimates):
    frame = estimates.contrasts.assign(replicates=5037, undefined=4963)
    said = strong(answer(protocol, estimates, contrasts=frame))
    assert (
        "is undefined in 4,963 of 10,000 trials, where an arm has too few values; the "
        "number is from the other 5,037."
    ) in said
    cell = contrasts_table(protocol, frame).rows[0][4]
    assert "from 5,037 of 10,000 trials: in the others an arm has too few" in cell.small


def test_arms_that_differ_in_failures_are_warned_of(protocol, estimates):
    flow = estimates.flow.assign(
        failed=[158, 510, 1511], simulated=[34842, 34490, 33489]
    )
    said = strong(answer(protocol, estimates, flow=flow))
    assert "158 of 35,000 (0.45\u202f%) under 60 mg/m²" in said
    assert "1,511 of 35,000 (4.3\u202f%) under 100 mg/m²" in said
    assert "may be biased" in said
    alike = estimates.flow.assign(failed=2, simulated=998)
    sentences = answer(protocol, estimates, flow=alike)
    assert "biased" not in strong(sentences)
    assert "6 subjects (0.2\u202f%) could not be solved" in sentences[-1].words


def test_failures_under_other_arms_count(protocol, estimates):
    flow = estimates.flow.assign(failed=0, others=70000, others_failed=[0, 0, 7])
    assert "7 of" in strong(answer(protocol, estimates, flow=flow))
    table = flow_table(protocol, flow_of(protocol, flow))
    assert table.heads[-2:] == ("Others simulated", "Others failed")
    assert "of those allocated to it" in table.caption
    alone = flow_table(protocol, flow_of(protocol, estimates.flow))
    assert alone.heads == ("Arm", "Allocated", "of them simulated", "of them failed")


def test_contrasts_say_whom_they_leave_out(protocol, estimates):
    frame = estimates.contrasts.assign(
        n=980, missing=0, failed=20, reference_n=999, reference_missing=1,
        reference_failed=0, least=0.15, most=0.25,
    )  # fmt: skip
    row = contrasts_table(protocol, frame).rows[0]
    assert (row[3].text, row[3].small) == ("980 / 999", "20 not solved / 1 missing")
    assert "15.0 to 25.0\u202fpp whatever the unsolved had shown" in row[4].small


def test_a_published_number_may_be_undecided(protocol, estimates):
    frame = estimates.published.assign(verdict=[UNDECIDED, "within"])
    table = published_table(published_words(protocol, frame))
    assert (table.rows[0][1].text, table.rows[0][1].mark) == ("undecided", "warn")
    said = strong(answer(protocol, estimates, published=frame))
    assert "Undecided within Monte Carlo error: grade 4, 100 mg/m²" in said
    assert "Missed" not in said


def test_coverage_without_intervals_is_not_available(protocol):
    frame = pd.DataFrame(
        [
            ("c1", "coverage", np.nan, np.nan, np.nan, np.nan, 0),
            ("c1", "power", 1.0, 0.06, 0.439, 1.0, 3),
        ],
        columns=OPERATING,
    )
    table = operating_table(replace(protocol, replicates=4), frame)
    coverage, power = ([cell.text for cell in row[2:]] for row in table.rows)
    assert coverage == ["not available", "–"]
    assert table.rows[0][2].small == "no trial has an interval"
    assert power == ["100\u202f%", "44 to 100\u202f%"]
    assert table.rows[1][2].small == "of 3 of 4 trials"


def test_an_endpoint_between_two_limits_says_both(protocol):
    both = Endpoint(
        "fit", "conc", "value", 0.0, 504.0, above=1.0, below=3.0, visits=("blood",)
    )
    words = endpoint_in_words(protocol, both)
    assert "above 1\u202fµmol/L and below 3\u202fµmol/L" in words


def test_a_rule_below_the_limit_is_said(protocol):
    point = Endpoint("auc", "conc", "AUC last", 0.0, 504.0, lloq=0.1,
                     below_quantification="zero before first")  # fmt: skip
    words = endpoint_in_words(protocol, point)
    assert "values below 0.1\u202fµmol/L: zero before first" in words


def test_parameters_without_uncertainty_are_not_drawn_anew(protocol):
    assert "drawn anew" not in population_in_words(protocol)
    parameters = (Parameter("CL", 1.0, error=0.1),)
    model = replace(protocol.model, parameters=parameters)
    assert "drawn anew" in population_in_words(replace(protocol, model=model))
    known = replace(model, parameters=(Parameter("CL", 1.0),))
    said = population_in_words(replace(protocol, model=known))
    assert "states no uncertainty of them" in said


@pytest.mark.parametrize(
    ("name", "low", "high", "words"),
    [
        ("FEMALE", 0.0, 0.0, "male"),
        ("FEMALE", 1.0, 1.0, "female"),
        ("ECOG1", 1.0, 1.0, "ECOG 1 = 1"),
        ("SITE", 3.0, 3.0, "SITE = 3"),
        ("SITE", 3.0, 5.0, "SITE 3 to 5"),
    ],
)
def test_groups_are_called_what_they_are(protocol, name, low, high, words):
    known = (Covariate("FEMALE", title="female"), Covariate("ECOG1", title="ECOG 1"))
    made = replace(protocol, model=replace(protocol.model, covariates=known))
    row = pd.Series({"covariate": name, "low": low, "high": high})
    assert group_words(made, row) == words


def test_rounding_is_nothing_and_points_are_points():
    assert amount(1.03e-16, 0.0, "plain", "%") == "0.00\u202f%"
    assert error_words(1.03e-18, "share") == "0\u202fpp"
    assert error_words(0.021, "share") == "2.1\u202fpp"
    assert error_words(0.5, "plain", "%") == "0.5\u202fpp"
    assert amount(2e-7, 0.05, "plain", "h") == "0.00\u202fh"
    assert contrast_unit("difference of means", "%") == "pp"
    assert contrast_unit("ratio of geometric means", "%") == "1"


def test_effects_of_shares_end_at_a_hundred_points():
    effect = effect_between("risk difference", (0.99, 0.05), (0.02, 0.05))
    assert effect.high == 1.0
    assert effect.low == pytest.approx(0.97 - 1.96 * np.hypot(0.05, 0.05))


def test_an_interval_of_rounding_is_of_nothing():
    assert interval(-1.2e-16, 3.1e-16, "plain", "%") == "0.00 to 0.00\u202f%"
    assert interval(2e-17, 4.2, "plain", "h") == "0.0 to 4.2\u202fh"
    assert interval(2e-17, 4.2e-17, "plain", "h").startswith("2 × 10⁻¹⁷ to 4.2")
