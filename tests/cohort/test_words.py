"""A cohort says who its people are."""

import pytest

from vtrial.cohort.sheet import cohort_of, load_cohort
from vtrial.cohort.words import cohort_schema, describe, summarise
from vtrial.sheets.sheet import parse_sheet


def test_description_has_distributions_formulas_and_sources():
    words = describe(load_cohort("adults"))
    for said in (
        "FEMALE 1: log-normal, median 73.2, CV 0.254, within 35 to 200",
        "HT (height) [cm]",
        "BMI (body mass index) [kg/m2] = WT/(HT/100)^2",
        "Du Bois",
        "WT and HT 0.36",
        "National Health and Nutrition Examination Survey",
    ):
        assert said in words


def test_description_of_a_table_and_a_condition():
    twelve = describe(load_cohort("theophylline-twelve"))
    assert "12 rows of theophylline-twelve.csv, taken in order" in twelve
    text = "cohort: c\ncovariates: {X: {uniform: [0, 1]}}\neligibility: X > 0.5\n"
    words = describe(cohort_of(parse_sheet(text)))
    assert "uniform from 0 to 1" in words
    assert "Eligible: X > 0.5" in words


def test_summary_has_a_row_a_covariate_and_one_for_the_screened():
    """Means within 4 errors: a false alarm once in 16,000 seeds."""
    text = (
        "cohort: c\ncovariates:\n  X: {unit: kg, uniform: [0, 1]}\n"
        "  S: {categorical: {0: 0.25, 1: 0.75}}\neligibility: X > 0.5\n"
    )
    table = summarise(cohort_of(parse_sheet(text)), seed=1, subjects=2000)
    rows = table.set_index("name")
    assert list(rows.index) == ["X", "S", "screened"]
    assert rows.loc["X", "unit"] == "kg"
    assert rows.loc["X", "mean"] == pytest.approx(0.75, abs=4 * 0.1443 / 2000**0.5)
    assert rows.loc["screened", "mean"] == pytest.approx(2, abs=4 * 1.4143 / 2000**0.5)
    shares = str(rows.loc["S", "shares"])
    one = float(shares.split("1: ")[1].removesuffix("%"))
    assert one == pytest.approx(75, abs=4 * 43.3 / 2000**0.5)


def test_adults_are_those_of_the_survey():
    """Weighted quartiles of age, and medians, computed from the survey's records."""
    rows = summarise(load_cohort("adults"), seed=3, subjects=8000).set_index("name")
    assert rows.loc["AGE", "mean"] == pytest.approx(47.3, abs=0.8)
    assert rows.loc["AGE", "sd"] == pytest.approx(16.8, abs=0.5)
    assert rows.loc["WT", "mean"] == pytest.approx(81.9, abs=1.0)
    assert rows.loc["HT", "mean"] == pytest.approx(168.7, abs=0.5)


def test_schema_knows_every_key():
    schema = cohort_schema()
    assert schema["required"] == ["cohort"]
    keys = {"cohort", "title", "source", "table", "covariates", "derive", "eligibility"}
    assert keys <= set(schema["properties"])
    assert "is" in schema["$defs"]["CorrelationShape"]["properties"]
