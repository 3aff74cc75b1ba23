"""Tables, answer and computation: what is said when, and what is left unsaid."""

import numpy as np
import pytest

from tests.altered import altered
from vtrial.analysis.estimates import MISS, WITHIN
from vtrial.model.model import Source
from vtrial.report.answer import answer_in_words
from vtrial.report.computed import computed_lines, sheets_given, sources_list
from vtrial.report.flow import flow_of
from vtrial.report.tables import (
    contrasts_table,
    endpoints_tables,
    interval_in_words,
    published_words,
    status_words,
)
from vtrial.types import Status


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_endpoints_lie_arms_across_with_their_numbers(protocol, estimates):
    (table,) = endpoints_tables(protocol, estimates.endpoints, estimates.missing)
    assert table.heads[2:] == ("60 mg/m²", "75 mg/m²", "100 mg/m²")
    first, share, *_ = table.rows
    assert [cell.text for cell in first] == ["Grade 4", "subjects", *["35,133"] * 3]
    assert first[2].small == "7 missing"
    assert share[2].text == "38.1\u202f%"
    assert share[2].small == "31.1 to 45.1\u202f%"


def test_many_trials_have_power_and_one_has_p(protocol, estimates):
    many = contrasts_table(protocol, estimates.contrasts)
    assert "Power" in many.heads
    assert many.rows[0][7].text == "98\u202f%"
    assert many.rows[0][7].small == "95 to 99\u202f%"
    one = estimates.contrasts.assign(replicates=1, p=0.00002, power=np.nan)
    single = contrasts_table(protocol, one)
    assert "p" in single.heads
    assert "under 0.001" in texts(single)[0]
    assert "True effect" not in single.heads


def test_paired_truth_stands_beside(protocol, estimates):
    paired = estimates.contrasts.assign(truth=0.2, truth_error=0.0004)
    table = contrasts_table(protocol, paired)
    assert table.heads[-1] == "True effect"
    assert table.rows[0][-1].text == "20.0\u202fpp"
    assert table.rows[0][-1].small == "± 0.04\u202fpp"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("between trials", "95 % of single trials"),
        ("confidence", "the trial's own 95 % confidence interval"),
        ("none", ""),
    ],
)
def test_intervals_are_explained(estimates, kind, words):
    assert words in interval_in_words(estimates.endpoints.assign(interval=kind))


@pytest.mark.parametrize("status", [Status.STEP_LIMIT, 1, "STEP_LIMIT"])
def test_status_is_said_in_words(status):
    assert status_words(status) == "step limit reached"


@pytest.mark.parametrize(
    ("within", "verified", "words"),
    [
        ([True, True], [True, True], "All 2 published numbers are met"),
        ([False, False], [True, False], "Of 2 published numbers (1 unverified) none"),
    ],
)
def test_answer_counts_what_was_met(protocol, estimates, within, verified, words):
    verdict = [WITHIN if one else MISS for one in within]
    frame = estimates.published.assign(verdict=verdict, verified=verified)
    flow = flow_of(protocol, estimates.flow.assign(failed=0))
    told = answer_in_words(
        protocol,
        estimates.endpoints,
        estimates.contrasts,
        published_words(protocol, frame),
        flow=flow,
    )
    strong = [sentence.words for sentence in told if sentence.strong]
    assert strong[0].startswith(words)
    assert told[-1].words == "No subject's equations failed to solve."


def test_record_tells_how_it_was_computed(protocol):
    attributes = {
        "numerics": {"method": "stiff", "rtol": 1e-4, "precision": 32},
        "digest": "abc",
        "machine": '{"cores": 2}',
        "broken": "{not json",
        "arms": ["a"],
    }
    lines = {line.name: line.words for line in computed_lines(protocol, attributes)}
    assert lines["Numerics"].startswith("method stiff, relative tolerance 0.0001")
    assert "32 bits" in lines["Numerics"]
    assert lines["Machine"] == "cores 2"
    assert lines["Broken"] == "{not json"
    assert "Arms" not in lines
    bare = {line.name: line.words for line in computed_lines(protocol, {})}
    assert bare["Digest"] == protocol.digest
    assert "64 bits" in bare["Numerics"]


def test_sheets_come_from_the_record(protocol):
    given = sheets_given(protocol, {"sheets": {"protocol": "a: 1\nb: 2\n"}})
    assert [(line.name, line.words) for line in given] == [("protocol", "a: 1\nb: 2\n")]
    assert sheets_given(protocol, {})[0].words == protocol.text


def test_a_source_is_listed_once(protocol):
    noted = Source(cite="A", note="how it was read", url="https://example.org/a")
    trial = altered(protocol, sources=(noted, noted), published=(), observed=())
    first, second = sources_list(trial)
    assert first.text == "A"
    assert first.href == "https://example.org/a"
    assert first.small == "the trial; how it was read"
    assert second.href == "https://doi.org/10.1/x"
