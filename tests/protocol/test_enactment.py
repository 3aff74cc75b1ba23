"""Accrual, looks and adaptations of a sheet: what they mean, and what is refused."""

import pytest

from vtrial.conduct.plan import plan
from vtrial.design.registry import kinds_of_adaptation
from vtrial.design.sequential.plan import EFFICACY
from vtrial.errors import ProtocolError
from vtrial.protocol.adaptation_kinds import FAMILIES, adaptation_kinds
from vtrial.protocol.enactment import Milestone
from vtrial.protocol.load import load_protocol

SHEET = """
protocol: looked-at
model: theophylline
cohort: theophylline-twelve
subjects: 60
potential: all
arms:
  low: {{dose: 100 mg}}
  high: {{dose: 200 mg}}
visits: {{a: {{at: "4 h, 8 h", measure: [conc]}}}}
design:
  accrual: {accrual}
  known after: 7 d
  looks: {looks}
  adapt: {adapt}
endpoints: {{peak: {{of: conc, take: maximum}}, ratio: {{equals: peak / WT}}}}
analysis:
  - {{name: main, compare: high with low, on: peak, by: difference of means}}
"""
STOP = "{stop: {by: posterior probability, success: 99 %}}"


def load(*, accrual="20 / month", looks="{half: 50 %, end: 100 %}", adapt=STOP):
    return load_protocol(SHEET.format(accrual=accrual, looks=looks, adapt=adapt))


def refused(**changed):
    with pytest.raises(ProtocolError) as caught:
        load(**changed)
    return str(caught.value)


def test_a_sheet_says_how_the_trial_goes_on():
    made = load(
        looks="{a: 24 known, c: 100 %, "
        "b: {when: known >= 40 and (month >= 3 or enrolled > 50)}}"
    )
    found = made.enactment
    assert found is not None
    assert (found.outcome, found.planned, found.delay) == ("peak", 60, 168.0)
    assert found.looks[0].when == ((Milestone("known", 24.0),),)
    assert found.looks[2].when == (
        (Milestone("known", 40.0), Milestone("hours", 2191.5)),
        (Milestone("known", 40.0), Milestone("enrolled", 51.0)),
    )
    assert found.accrual.stretches[0].rate == pytest.approx(20 / 730.5)
    assert found.adaptations[0].on == ("main",)
    assert found.adaptations[0].looks == (0, 1, 2)


def test_what_looks_do_is_no_part_of_what_is_simulated():
    assert load().digest == load(adapt="{}", accrual="3 / d").digest


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"looks": "{a: month 0, end: 100 %}"}, "when no `peak` is known"),
        ({"looks": "{a: 2 enrolled, end: 100 %}"}, "when no `peak` is known"),
        ({"looks": "{a: 50 %, end: month 90}"}, "long after the last visit"),
        ({"looks": "{a: 10 events, end: 100 %}"}, "is no time to one"),
        ({"looks": "{a: 80 known, end: 100 %}"}, "at most the 60 subjects"),
        ({"looks": "{a: 60 %, b: 40 %, end: 100 %}"}, "each look later"),
        ({"looks": "{a: {when: known <= 3}, end: 100 %}"}, "at least so high"),
        ({"looks": "{a: soon, end: 100 %}"}, "`300 enrolled`"),
        ({"accrual": "20"}, "rate: 20 / month"),
        ({"accrual": "[5 / month, {from: month 0, rate: 9 / month}]"}, "later than"),
        ({"accrual": "0 / month"}, "a rate above 0"),
        ({"adapt": "{x: {by: drop arms, below: 5 %, on: main}}"}, "an endpoint: peak"),
        ({"adapt": "{x: {by: drop arms}}"}, "without `below`"),
        ({"adapt": "{x: {by: response adaptive, floor: 60 %}}"}, "at most 0.5"),
        ({"adapt": "{x: {by: group sequential, alpha: 60 %}}"}, "below 50 %"),
        ({"adapt": "{x: {by: group sequential, floor: 1 %}}"}, "given with `by"),
        ({"adapt": "{x: {by: bayes}}"}, "posterior probability"),
    ],
)
def test_what_makes_no_sense_is_refused(changed, words):
    said = refused(**changed)
    assert words in said
    assert "design" in said


def test_more_trials_than_replicates_need_everybody_under_every_arm():
    text = SHEET.replace("potential: all\n", "").replace(
        "  known after: 7 d\n", "  known after: 7 d\n  trials: 50\n"
    )
    with pytest.raises(ProtocolError, match="every arm"):
        load_protocol(text.format(accrual="20 / month", looks="{b: 100 %}", adapt="{}"))


def test_allocation_by_looks_needs_everybody_under_every_arm():
    text = SHEET.replace("potential: all\n", "")
    adapt = "{lean: {by: response adaptive, floor: 10 %}}"
    with pytest.raises(ProtocolError, match="potential: all"):
        load_protocol(
            text.format(accrual="20 / month", looks="{a: 50 %, b: 100 %}", adapt=adapt)
        )


@pytest.mark.parametrize("by", ["group sequential", "predictive power", "sample size"])
def test_a_look_whose_information_is_not_known_is_no_guess(by):
    options = ", futility: 10 %" if by == "predictive power" else ""
    made = load(
        looks="{a: month 2, end: 100 %}", adapt=f"{{stop: {{by: {by}{options}}}}}"
    )
    with pytest.raises(ProtocolError, match="look a: without the share"):
        plan(made)


def test_full_information_says_what_looks_by_the_calendar_know():
    adapt = "{stop: {by: group sequential, information: 60 known}}"
    made = load(looks="{a: month 2, end: 100 %}", adapt=adapt)
    assert made.enactment.adaptations[0].option("information") == "60 known"
    plan(made)
    for words, told in (("60 pp", "`300 events`"), ("60 events", "`60 known`")):
        with pytest.raises(ProtocolError, match=told):
            load(adapt=adapt.replace("60 known", words))


def test_a_subgroup_is_selected_beside_everybody():
    text = SHEET + (
        "  - {{name: light, compare: high with low, on: peak, "
        "by: difference of means, where: WT < 70}}\n"
    )
    shape = {"accrual": "20 / month", "looks": "{half: 50 %, end: 100 %}"}
    adapt = "{{enrich: {{by: select subgroup, on: {on}, least: 30 %}}}}"
    made = load_protocol(text.format(adapt=adapt.format(on="[main, light]"), **shape))
    assert made.enactment.adaptations[0].on == ("main", "light")
    plan(made)
    for on in ("[light, main]", "[main]"):
        with pytest.raises(ProtocolError, match="by its `where`, in this order"):
            load_protocol(text.format(adapt=adapt.format(on=on), **shape))
    once = text.format(adapt=adapt.format(on="[main, light], looks: [half]"), **shape)
    made = load_protocol(once)
    with pytest.raises(ProtocolError, match="the look that selects, and the end"):
        plan(made)


def test_families_are_those_that_have_boundaries():
    assert set(FAMILIES) == set(EFFICACY)
    assert set(adaptation_kinds()) == set(kinds_of_adaptation())


PICK = "{{pick: {{by: select arms, on: [main, other], best: 1, {more}}}}}"


def picking(more, looks="{half: 50 %, end: 100 %}", extra=""):
    text = SHEET.replace(
        "high: {{dose: 200 mg}}", "high: {{dose: 200 mg}}\n  top: {{dose: 300 mg}}"
    )
    text = text.replace(
        "peak: {{of", "soon: {{of: conc, take: value, at: 4 h}}, peak: {{of"
    )
    text += "  - {{name: other, compare: top with low, on: peak, "
    text += "by: difference of means}}\n"
    text = text.replace("  known after: 7 d\n", extra)
    adapt = PICK.format(more=more)
    return load_protocol(text.format(accrual="1 / d", looks=looks, adapt=adapt))


def test_a_look_that_selects_early_counts_by_that_endpoint():
    found = picking("early: soon").enactment
    assert found is not None
    first, last = found.looks
    assert (first.outcome, first.information, last.outcome) == ("soon", None, "")
    # The 30th comes after 29.5 d and shows it 4 h later, when nobody else has come.
    assert first.stage == 0.5
    said = picking("early: soon", "{half: {at: 50 %, information: 60 %}, end: 100 %}")
    assert said.enactment is not None
    assert said.enactment.looks[0].stage == 0.6


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("early: peek",), "an unknown endpoint"),
        (("early: peak",), "on themselves"),
        (("early better: lower",), "without `early`"),
        (("early: soon", "{half: 60 enrolled, end: 100 %}"), "everybody is enrolled"),
        (("early: soon", "{half: day 0, end: 100 %}"), "nobody is enrolled"),
        (
            ("early: soon", "{half: {at: 40 %, information: 100 %}, end: 100 %}"),
            "below 100 %",
        ),
        (
            ("early: soon", "{half: 50 %, end: 100 %}", "  outcome: soon\n"),
            "left out, or `peak`",
        ),
    ],
)
def test_a_selection_that_is_not_early_is_refused(changed, words):
    with pytest.raises(ProtocolError) as caught:
        picking(*changed)
    assert words in str(caught.value)
