"""Randomisation and sites of a sheet: what they mean, and what is refused."""

import functools

import pytest

import vtrial as vt
from tests.changed_sheet import load_changed
from vtrial.errors import ProtocolError
from vtrial.protocol.stored import read_protocol, write_protocol

SHEET = """
protocol: balanced
model: one-compartment-oral
cohort: adults
subjects: 60
potential: all
arms:
  low: {dose: 100 mg}
  high: {dose: 120 mg}
visits: {late: {at: "2 h, 8 h", measure: [conc]}}
endpoints:
  peak: {of: conc, take: maximum}
analysis:
  - {name: main, compare: high with low, on: peak, by: difference of means}
design:
  randomisation: {by: minimisation, factors: [FEMALE, AGE < 50, site]}
  sites:
    north: {rate: 2 / month, count: 4, cap: 10, region: Europe, every: 2 wk}
    south: 3 / month
  looks: {half: 50 %, end: 100 %}
"""
METHOD = "{by: minimisation, factors: [FEMALE, AGE < 50, site]}"


load = functools.partial(load_changed, SHEET)


def test_a_sheet_says_how_subjects_are_randomised_and_where_they_come():
    made = load()
    how, accrual = made.design.allocation, made.enactment.accrual
    assert (how.by, how.asked) == ("minimisation", ("FEMALE", "AGE"))
    assert dict(how.options) == {"probability": 0.8, "spread": "range"}
    assert how.accrual == accrual
    names = [one.name for one in accrual.sites]
    assert names == ["north 1", "north 2", "north 3", "north 4", "south"]
    assert [one.opens for one in accrual.sites] == [0.0, 336.0, 672.0, 1008.0, 0.0]
    assert accrual.sites[3].cap == 10
    again = read_protocol(write_protocol(made))
    assert (again.design, again.enactment) == (made.design, made.enactment)


def test_what_is_simulated_depends_on_sites_only_where_arms_do():
    """Another accrual is another enactment of one record, unless it moves an arm."""
    slower = ("south: 3 / month", "south: 2 / month")
    plain = (METHOD, "urn")
    assert load(plain).digest == load(plain, slower).digest
    assert load().digest != load(slower).digest


@pytest.mark.parametrize(
    ("new", "at", "message"),
    [
        ("{by: minimisation}", "randomisation", "with `factors: [FEMALE, AGE < 65]`"),
        (
            "{by: minimization, factors: SEX}",
            "randomisation.by",
            "Write `minimisation`",
        ),
        ("{by: minimisation, factors: [FEMAL]}", "factors.0", "Write `FEMALE`"),
        ("{by: minimisation, factors: [1 < 2]}", "factors.0", "same for everybody"),
        ("{by: minimisation, factors: [site, site]}", "factors.1", "each factor once"),
        (
            "{by: minimisation, factors: FEMALE, probability: 30 %}",
            "probability",
            "from 0.5, which is chance, to 1",
        ),
        (
            "{by: minimisation, factors: FEMALE, weights: [1, 2]}",
            "weights",
            "each of the 1 factors",
        ),
        (
            "{by: minimisation, factors: FEMALE, stratified: [site]}",
            "stratified",
            "stands at `factors`",
        ),
        ("{by: urn, permuted block: 4}", "permuted block", "begin, add or stratified"),
        ("{most: 3}", "most", "`by: big stick`"),
        ("big stik", "randomisation", "Write `big stick`"),
        ("{by: minimisation, factors: region}", "factors", "though no site"),
    ],
)
def test_methods_that_cannot_be_are_told(new, at, message):
    changes = [(METHOD, new)]
    if "region" in new:
        changes.append((", region: Europe", ""))
    with pytest.raises(ProtocolError) as caught:
        load(*changes)
    fault = next(one for one in caught.value.faults if message in str(one))
    assert at in fault.at
    assert ":16:" in f":{fault}", "the line of the sheet"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("south: 3 / month", "south: {rate: 3 / month, cap: 1}", "enrol 41 at most"),
        ("rate: 2 / month", "rate: 0 / month", "at which nobody comes"),
        ("every: 2 wk", "every: two", "must be a duration"),
        ("count: 4, ", "", "given of one site"),
        ("  sites:", "  accrual: 3 / month\n  sites:", "the rates of sites are those"),
        ("south: 3 / month", "north 2: 3 / month", "two sites `north 2`"),
        (
            "  looks:",
            "  adapt: {lean: {by: response adaptive, on: peak}}\n  looks:",
            "for a ratio that stays as it is",
        ),
        (METHOD, "big stick\n  allocation: {low: 1, high: 2}", "equal weights"),
        (METHOD, f"{METHOD}\n  allocation: {{low: 1}}", "silent on high"),
    ],
)
def test_designs_that_cannot_be_are_told(old, new, message):
    with pytest.raises(ProtocolError) as caught:
        load((old, new))
    assert message in str(caught.value)
    assert "no sites" not in str(caught.value), "one fault is told once"


def test_more_than_two_arms_are_for_an_urn():
    third = ("120 mg}", "120 mg}\n  mid: {dose: 110 mg}")
    with pytest.raises(ProtocolError, match="minimisation or urn"):
        load(third, (METHOD, "big stick"))
    assert load(third, (METHOD, "urn")).design.allocation.by == "urn"


def test_sites_are_to_be_there():
    sheet = SHEET[: SHEET.index("  sites:")]
    with pytest.raises(ProtocolError, match="though the design has no sites"):
        vt.load_protocol(sheet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("AGE < 50", "AGE")], "or a condition that cuts it: `AGE < ...`"),
        (
            [(METHOD, "{by: urn, stratified: [WT]}")],
            "stratified by `WT`, a number",
        ),
        (
            [("design:", "keep: {covariates: false}\ndesign:")],
            "`FEMALE` or `AGE` when trials are enacted",
        ),
    ],
)
def test_what_the_cohort_cannot_give_is_told(changes, message):
    with pytest.raises(ProtocolError) as caught:
        vt.plan(load(*changes))
    assert message in str(caught.value)
