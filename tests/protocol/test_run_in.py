"""A run-in as a sheet says it: what it means, and what is refused."""

import pytest

from vtrial.errors import ProtocolError
from vtrial.protocol.eligible import RunIn
from vtrial.protocol.stored import read_protocol, write_protocol

RUN_IN = "run in: {until: 24 h, qualify: low first}\narms:"


@pytest.fixture
def begun(sheets):
    """A trial whose arms are the same on the first day, with a response on it."""
    sheets.change("small", '"2 mg/kg every 24 h x 2"', '"50 mg then 90 mg after 24 h"')
    sheets.change("small", '"25 h,', '"12 h, 25 h,')
    point = "  low first: {of: conc, take: value, at: 12 h, below: 0.45}\n"
    sheets.change("small", "analysis:", f"{point}analysis:")
    return sheets


def run_in(sheets, old="arms:", new=RUN_IN):
    return sheets.change("small", old, new)


def test_it_is_part_of_what_is_simulated_and_kept(begun):
    without = begun.load()
    protocol = run_in(begun).load()
    assert protocol.run_in == RunIn("low first", 24.0)
    assert protocol.digest != without.digest
    assert read_protocol(write_protocol(protocol)).run_in == protocol.run_in


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("24 h, q", "day 0, q", "run in.until", "after day 0"),
        ("low first}", "low last}", "run in.qualify", "an unknown response"),
        ("low first}", "peak}", "run in.qualify", "is no response"),
        ("low first}", "exposed}", "run in.qualify", "known on day 2, after"),
        ("50 mg then 90 mg", "40 mg then 90 mg", "arms.high", "doses before day 1"),
        ("after 24 h", "after 23 h", "arms.high", "doses before day 1"),
        ('after 24 h"', 'after 24 h", set: {tvCL: 4}', "arms.high", "`set` before"),
        (
            'after 24 h"',
            'after 24 h", adherence: {taken: 80 %}',
            "arms.high",
            "adherence before",
        ),
        (
            "visits:",
            "design: {dropout: {share: {low: 5 %, high: 9 %}, by: day 2}}\nvisits:",
            "design.dropout",
            "the same in all arms",
        ),
        (
            "visits:",
            "design: {escalation: {by: BOIN, on: exposed, target: 30 %}}\nvisits:",
            "run in",
            "beside an escalation",
        ),
    ],
)
def test_what_makes_no_run_in_is_refused(begun, old, new, at, words):
    faults = run_in(begun).change("small", old, new).refused()
    fault = faults[next(place for place in faults if place.startswith(at))]
    assert words in str(ProtocolError.of([fault]))
