"""Time words mean one thing, in hours; everything else is refused with a remedy."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.errors import ProtocolError
from vtrial.protocol.times import duration, moment, moments, span, spread


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("day 0", 0),
        ("day 7", 168),
        ("day 0.5", 12),
        ("hour 3", 3),
        ("week 12", 2016),
        ("144 h", 144),
        ("0 h", 0),
        ("90 min", 1.5),
        ("3 d", 72),
        ("3 days", 72),
        ("2 wk", 336),
        ("cycle 1", 0),
        ("cycle 3", 1008),
        ("cycle 2 + 7 d", 672),
        ("cycle 2 - 1 h", 503),
        ("day 7 + 30 min", 168.5),
        ("day 1 + 1 d + 2 h", 50),
    ],
)
def test_moment(text, hours):
    assert moment(text, cycle=504.0) == pytest.approx(hours, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("dya 7", "day 7"),
        ("144", ""),
        ("144 hx", ""),
        ("day -7", ""),
        ("day 1 - 2 d", ""),
        ("cycle 2 day 8", "cycle 2 + 7 d"),
        ("cycle 0", ""),
        ("cycle 1.5", ""),
        ("day seven", ""),
        ("", ""),
        ("1e99 h", None),
    ],
)
def test_moment_refused_with_remedy(text, write):
    with pytest.raises(ProtocolError) as caught:
        moment(text, cycle=504.0)
    (fault,) = caught.value.faults
    assert fault.allowed
    if write is not None:
        assert fault.write == write


def test_a_month_is_a_twelfth_of_a_year():
    assert moment("month 3") == moment("3 months") == 3 * 365.25 / 12 * 24
    assert duration("1 mo") == 730.5


def test_cycles_need_doses():
    with pytest.raises(ProtocolError, match="there are no cycles"):
        moment("cycle 1")
    assert math.isnan(moment("cycle 2", cycle=math.nan))


def test_moments_are_sorted_and_distinct():
    assert moments(["day 7, day 0", "7 d, 1 h"]) == (0, 1, 168)


def test_every_bad_moment_is_told():
    with pytest.raises(ProtocolError) as caught:
        moments(["day 0, dai 1, 5"])
    assert [fault.write for fault in caught.value.faults] == ["day 1", ""]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("day 4 to day 5", (96, 120)),
        ("312 h to 336 h", (312, 336)),
        ("cycle 1", (0, 504)),
        ("cycle 2 to cycle 3", (504, 1512)),
        ("cycle 2 to cycle 2 + 7 d", (504, 672)),
        ("cycle 1 + 1 d to day 9", (24, 216)),
        ("day 3 to day 3", (72, 72)),
    ],
)
def test_span(text, ends):
    assert span(text, cycle=504.0) == ends


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("day 5 to day 4", "day 4 to day 5"),
        ("day 5", ""),
        ("day 1 to day 2 to day 3", ""),
        ("cycle 2 to cycle 1 - 1 d", ""),
        ("between day 1 and day 3", "day 1 to day 3"),
    ],
)
def test_span_refused(text, write):
    with pytest.raises(ProtocolError) as caught:
        span(text, cycle=504.0)
    assert caught.value.faults[0].write == write


def test_spread():
    assert spread([0.0, 168.0], "every 21 d x 2") == (0, 168, 504, 672)
    assert spread([0.0, 504.0], "every 21 d x 2") == (0, 504, 1008)
    assert spread([0.0], "every 7 d until day 21") == (0, 168, 336, 504)
    assert spread([24.0], "every 7 d until day 20") == (24, 192, 360)


@pytest.mark.parametrize(
    "text",
    ["21 d x 6", "every 21 d", "every 1 h x 999999", "every 0 h x 3", "x" * 9999],
)
def test_spread_refused(text):
    with pytest.raises(ProtocolError):
        spread([0.0], text)


@pytest.mark.parametrize("text", ["2 hh", "2", "-2 h", "0 h", "", "1 mg"])
def test_duration_refused(text):
    with pytest.raises(ProtocolError):
        duration(text)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "day",
                "cycle",
                "every",
                "x",
                "to",
                "until",
                "+",
                "-",
                "7",
                "1e9",
                "h",
                ",",
            ]
            + ["d", "0", "9" * 30, "week", ".", "12 h", "/", "²", "(", "%s"]
        ),
        max_size=12,
    ).map(" ".join)
)
@pytest.mark.slow
def test_no_text_does_worse_than_be_refused(text):
    for read in (
        duration,
        lambda words: moment(words, cycle=504.0),
        lambda words: moments([words], cycle=504.0),
        lambda words: span(words, cycle=504.0),
        lambda words: spread([0.0], words, cycle=504.0),
    ):
        with contextlib.suppress(ProtocolError):
            values = read(text)
            assert all(value >= 0 for value in np.atleast_1d(values))
