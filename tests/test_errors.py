"""Errors say where, what, what else, and what to write; they cross processes whole."""

import pickle

import pytest

from vtrial import errors
from vtrial.errors import DosingError, Fault, ModelError, VtrialError
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
