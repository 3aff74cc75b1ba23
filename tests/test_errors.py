"""Errors say where, what, what else, and what to write; they cross processes whole."""

import pickle

import pytest

from vtrial import errors
from vtrial.errors import DosingError, Fault, ModelError, VtrialError, printable
from vtrial.types import Status

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, VtrialError)
]


def test_message_says_where_what_and_what_to_write():
    error = DosingError(
        at="arms.high.dose",
        found="`every -24 h`",
        allowed="a positive duration",
        write="every 24 h",
        source="trial.yaml",
        line=7,
        column=3,
    )
    assert str(error) == (
        "trial.yaml:7:3: arms.high.dose is `every -24 h`; it must be a positive "
        "duration. Write `every 24 h`."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_pickles_whole(kind):
    faults = [Fault("b", "2", "x", "", "s", 9), Fault("a", "1", "x", "", "s", 2)]
    again = pickle.loads(pickle.dumps(kind.of(faults)))
    assert type(again) is kind
    assert [fault.at for fault in again.faults] == ["a", "b"], "in the order of lines"
    assert str(again).count("\n") == 1


def test_wrong_requests_are_value_errors_too():
    assert issubclass(ModelError, ValueError)
    with pytest.raises(VtrialError):
        raise ModelError("a", "b", "c", "d")


def test_every_status_has_words():
    assert all(status.words for status in Status)
    assert Status(0) is Status.SOLVED


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("plain é 5 mg\u00b7µ \U0001f48a", "plain é 5 mg\u00b7µ \U0001f48a"),
        ("thin\u2009and\u00a0hard spaces", "thin\u2009and\u00a0hard spaces"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("two\nlines\tand\r", r"two\nlines\tand\r"),
        ("\u202eleft to right\u2028", r"\u202eleft to right\u2028"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_written_as_an_escape(given, said):
    assert printable(given) == said
    fault = Fault(given, given, given, given, source=given)
    assert str(fault) == (
        f"{said}: {said} is {said}; it must be {said}. Write `{said}`."
    )
