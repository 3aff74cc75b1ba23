"""A past, subgroups that share, arms that join: what sheets mean, what is refused."""

import numpy as np
import pytest

from vtrial.errors import ProtocolError
from vtrial.protocol.load import load_protocol
from vtrial.protocol.stored import read_protocol, write_protocol

SHEET = """
protocol: with-a-past
model: theophylline
cohort: theophylline-twelve
subjects: 60
potential: {potential}
arms:
  low: {{dose: 100 mg}}
  high: {{dose: 200 mg}}
visits: {{a: {{at: "4 h, 8 h", measure: [conc]}}}}
endpoints:
  reached: {{of: conc, take: maximum, above: 5 mg/L}}
  peak: {{of: conc, take: maximum}}
analysis:
  - {{name: main, compare: high with low, on: reached, by: risk difference}}
  - {{name: light, compare: high with low, on: peak, by: difference of means,
     where: WT < 70}}
  - {{name: heavy, compare: high with low, on: peak, by: difference of means,
     where: WT >= 70}}
design:
  accrual: 20 / month
  looks: {{half: 50 %, end: 100 %}}
  adapt:
    stop: {{by: {by}, on: main, {options}}}
    share: {{by: posterior probability, success: 99 %, on: [light, heavy], {share}}}
  {rest}
"""
MEANS = "borrow: {low: {on: peak, from: [{subjects: 9, mean: 5, sd: 1}]}}"
PAST = "borrow: {low: {from: [{subjects: 80, events: 20}]%s}}"
SHARE = "alike: 50 %, heterogeneity: 0.3 mg/L, spread: 500 ug/L"


def load(rest="", *, by="posterior probability", share="margin: 0.1", **changed):
    options = "success: 99 %" if by == "posterior probability" else "alpha: 2.5 %"
    whole = {"potential": "all", "by": by, "share": share, "rest": rest, **changed}
    return load_protocol(SHEET.format(options=options, **whole))


def test_a_past_is_read_and_kept_with_the_record():
    protocol = load(PAST % ", robust: 20 %, heterogeneity: 0.5")
    (one,) = protocol.enactment.borrowed
    assert (one.arm, one.endpoint, one.by) == ("low", "reached", "MAP")
    assert one.past == ((80.0, 20.0),)
    assert (one.robust, one.heterogeneity, one.weight) == (0.2, 0.5, -1.0)
    assert one.compared == (("main", "difference"),)
    again = read_protocol(write_protocol(protocol))
    assert again.enactment == protocol.enactment
    assert load().enactment.borrowed == ()


def test_options_of_subgroups_are_in_the_unit_of_the_effect():
    rule = load(share=SHARE).enactment.adaptations[1]
    found = [rule.option(name) for name in ("alike", "heterogeneity", "spread")]
    assert found == pytest.approx([0.5, 0.3, 0.5])


def test_arms_join_by_the_calendar_or_at_a_look():
    protocol = load("joins: {high: half}\n  leaves: {high: month 4}")
    presence = protocol.enactment.presence
    (join,), (leave,) = presence.joins, presence.leaves
    assert (join.arm, join.at, join.look) == (1, np.inf, 0)
    assert (leave.at, leave.look) == (pytest.approx(4 * 730.5), -1)
    assert presence.controls == "concurrent"
    assert protocol.enactment.allocates
    again = read_protocol(write_protocol(protocol))
    assert again.enactment == protocol.enactment
    assert not load().enactment.presence.changes


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rest": PAST.replace("low", "lwo") % ""}, "an unknown arm"),
        ({"rest": PAST % ", on: peak"}, "mean: 5.1"),
        ({"rest": PAST.replace("20}", "90}") % ""}, "90, of 80 subjects"),
        ({"rest": PAST % ", weight: 50 %"}, "by: power prior"),
        ({"rest": PAST % ", heterogeneity: 0"}, "a number above 0"),
        ({"rest": PAST % "", "by": "group sequential"}, "what no rule uses"),
        ({"rest": MEANS}, "with `where`"),
        ({"share": "alike: 50 %, spread: 2"}, "without `heterogeneity`"),
        ({"rest": "joins: {high: hafl}"}, "half"),
        ({"rest": "joins: {high: month 1, low: month 2}"}, "at least one arm"),
        (
            {"rest": "joins: {high: month 3}\n  leaves: {high: month 2}"},
            "later than it joins",
        ),
        ({"rest": "controls: all"}, "no arm joins or leaves"),
        ({"rest": "joins: {high: month 1}", "potential": "allocated"}, "arms join or"),
    ],
)
def test_what_makes_no_sense_is_refused(given, words):
    with pytest.raises(ProtocolError) as caught:
        load(**given)
    assert words in str(caught.value)
