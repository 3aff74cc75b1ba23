"""A sheet that is loaded with some words changed, and what is told of it."""

import pytest

import vtrial as vt
from vtrial.errors import ProtocolError


def load_changed(text, *changes):
    """Load a sheet in which words stand for others; each must be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return vt.load_protocol(text)


def told_at(text, change, at):
    """Load a sheet that is refused; return the faults whose place is chosen by `at`."""
    with pytest.raises(ProtocolError) as caught:
        load_changed(text, change)
    told = [fault for fault in caught.value.faults if at(fault.at)]
    assert told, [str(one) for one in caught.value.faults]
    assert told[0].line
    return [str(one) for one in told]
