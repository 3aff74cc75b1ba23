"""No sheet, however odd, ends in anything but a cohort or an error with faults."""

import copy
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from vtrial.cohort.sheet import cohort_of
from vtrial.errors import VtrialError
from vtrial.sheets.sheet import parse_sheet

SHEET = {
    "cohort": "c",
    "source": [{"cite": "someone"}],
    "covariates": {
        "FEMALE": {"categorical": {"0": 0.5, "1": 0.5}},
        "WT": {
            "unit": "kg",
            "by": "FEMALE",
            "each": {
                "0": {"lognormal": {"median": 80, "cv": "20 %"}},
                "1": {"lognormal": {"mean": 70, "sd": 9}, "within": [40, 90]},
            },
        },
        "HT": {"unit": "cm", "normal": {"mean": 170, "sd": 9}, "within": [140, 200]},
        "X": {"empirical": {"values": [1, 2, 3]}},
    },
    "correlation": [{"of": ["WT", "HT"], "is": 0.4}],
    "derive": {"BMI": None, "Y": {"equals": "X + 1", "unit": "kg"}, "Z": "WT/HT"},
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(),
    st.sampled_from(["", "x", "WT", "1e400", "a = b", "(", "\u00e9", "kg/", "BMI"]),
    st.just([]),
    st.just({}),
    st.just([1, "a"]),
    st.just({"a": 1}),
    st.just({"0": {"constant": 1}}),
)


def places(node, path=()):
    """List the path of everything in a sheet."""
    found = [path] if path else []
    entries = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in entries:
        deeper = isinstance(value, dict | list)
        found += places(value, (*path, key)) if deeper else [(*path, key)]
    return found


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(places(SHEET)), ODD), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_odd_entries_end_in_words(changes):
    data = copy.deepcopy(SHEET)
    for path, value in changes:
        node = data
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    stream = io.StringIO()
    YAML().dump(data, stream)
    faults, cohort = (), None
    try:
        cohort = cohort_of(parse_sheet(stream.getvalue()))
    except VtrialError as error:
        faults = error.faults
    assert bool(faults) != bool(cohort)
    assert all(fault.found and fault.allowed for fault in faults)
