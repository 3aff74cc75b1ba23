"""A record is reported as it was run; a sheet that says otherwise is refused."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from tests.small_trial import Sheets
from vtrial.errors import ProtocolError
from vtrial.protocol.stored import read_protocol, write_protocol
from vtrial.sheets.find import shipped

LIMITS = """
  exposed: {of: conc, take: maximum, within: "24 h to 48 h", above: 0.5}
  trough: {of: conc, take: value, at: 48 h, below: 0.1}
  long: {of: conc, take: time above, within: "24 h to 48 h", low: 0.3}
  either: {equals: "exposed + trough", above: 0.5}
  true peak: {of: conc, take: maximum, within: "0 h to 48 h", values: true, above: 1}
"""


def small(folder):
    sheets = Sheets(folder)
    head, tail = sheets.texts["small"].split("  exposed:")
    sheets.texts["small"] = (
        head + LIMITS.strip("\n") + "\nanalysis:" + tail.split("analysis:")[1]
    )
    return sheets


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run it once, with and without measurements; the sheets and records by that."""
    found = {}
    for kept in ("true", "false"):
        folder = tmp_path_factory.mktemp(kept)
        sheets = small(folder / "sheets")
        sheets.change("small", "measurements: true", f"measurements: {kept}")
        record = vt.run(sheets.load(), out=folder / "run", workers=0)
        found[kept] = (sheets.texts, record)
    return found


@pytest.fixture
def edited(run, tmp_path):
    """Copy the sheets, to be edited beside a record that stays."""

    def copied(measurements="true"):
        texts, record = run[measurements]
        sheets = Sheets(tmp_path / "sheets")
        sheets.texts = dict(texts)
        return sheets, record

    return copied


def reported(record, path):
    protocol = vt.conduct.protocol_for(record, path)
    return vt.evaluate(record.tree(), protocol)


def refused(sheets, record):
    """Report a record by edited sheets, by command and from Python."""
    path = sheets.write()
    with pytest.raises(ProtocolError) as caught:
        reported(record, path)
    return {fault.at: fault for fault in caught.value.faults}


OTHERWISE = [
    ("small", '"50 mg every', '"60 mg every', "arms.low.dose"),
    ("small", "2 mg/kg", "2.5 mg/kg", "arms.high.dose"),
    ("small", "  high: {", "  mid: {", "arms.mid"),
    ("small", "seed: 11", "seed: 12", "seed"),
    ("small", "subjects: 30", "subjects: 60", "subjects"),
    ("small", "replicates: 4", "replicates: 8", "replicates"),
    ("small", "block: 25", "block: 20", "block"),
    ("small", "25 h, 28 h, 36 h", "25 h, 29 h, 36 h", "visits.profile.at"),
    ("small", "block: 25", "block: 25\nuncertainty: false", "uncertainty"),
    ("small", "block: 25", "block: 25\npotential: all", "potential"),
    ("small", "block: 25", "block: 25\nnumerics: {rtol: 1e-4}", "numerics.rtol"),
    (
        "small",
        "block: 25",
        "block: 25\ndesign: {allocation: {low: 1, high: 2}}",
        "design.randomisation.weights",
    ),
    (
        "small",
        "block: 25",
        "block: 25\ndesign: {dropout: {share: 10 %, by: day 2}}",
        "design.dropout.causes",
    ),
    (
        "small",
        "values: true, above: 1",
        "values: true, above: 2",
        "endpoints.true peak.above",
    ),
    ("small", "trajectories: quantiles", "trajectories: nothing", "keep.trajectories"),
    ("body", "tvCL: {value: 5.0", "tvCL: {value: 4.0", "model.parameters.tvCL.value"),
    ("body", "0.0625", "0.07", "model.random"),
    (
        "body",
        "conc = central / V",
        "conc = 2 * central / V",
        "model.statements.assign conc",
    ),
    (
        "body",
        "proportional: 0.15",
        "proportional: 0.1",
        "model.outputs.conc.error.proportional",
    ),
    ("folk", "median: 75", "median: 80", "covariates.WT.lognormal.median"),
    ("folk", "WT > 50", "WT > 60", "eligibility"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "old", "new", "at"), OTHERWISE)
def test_what_was_run_otherwise_is_refused(edited, name, old, new, at):
    sheets, record = edited()
    if at == "arms.mid":
        sheets.change("small", "high with low", "mid with low")
    sheets.change(name, old, new)
    faults = refused(sheets, record)
    named = {path for path in faults if path.startswith(at)}
    assert named, list(faults)
    fault = faults[min(named)]
    assert "but the record was run with" in fault.found
    assert fault.write.startswith("vtrial run ")
    assert fault.line > 0


def test_a_refusal_says_both_values_on_the_sheets_line(edited):
    sheets, record = edited()
    sheets.change("small", '"50 mg every', '"60 mg every')
    fault = refused(sheets, record)["arms.low.dose"]
    assert "60 mg every" in fault.found.split(", but")[0]
    assert "50 mg every" in fault.found.split(", but")[1]
    line = sheets.texts["small"].splitlines()[fault.line - 1]
    assert "low: {dose" in line


WORDS = [
    ("small", "by: ratio of geometric means", "by: difference of means"),
    ("small", "seed: 11", "seed: 11\ntitle: Another title"),
    ("small", "  low: {dose", "  low: {title: Little, dose"),
    (
        "small",
        "keep:",
        "published: [{arm: low, endpoint: peak, value: 1, within: 1}]\nkeep:",
    ),
    ("small", "replicates: 4", "replicates: 2"),
]


@pytest.mark.parametrize(("name", "old", "new"), WORDS)
def test_questions_and_words_may_change(edited, name, old, new):
    sheets, record = edited()
    protocol = vt.conduct.protocol_for(record, sheets.change(name, old, new).write())
    before = vt.evaluate(record.tree(), vt.conduct.protocol_of(record))
    after = vt.evaluate(record.tree(), protocol)
    assert protocol.replicates == 4, "all that the record holds is reported"
    pd.testing.assert_frame_equal(before.endpoints, after.endpoints)


def simulated(sheets, folder):
    """Run what was edited, which must give what the record's report gives."""
    protocol = sheets.load()
    record = vt.run(protocol, out=folder, workers=0)
    return vt.evaluate(record.tree(), protocol)


MADE = [
    (
        ('within: "24 h to 48 h", above: 0.5', 'within: "24 h to 48 h", above: 0.7'),
        "false",
    ),
    (("above: 0.5}\n  trough", "above: 0.5, title: Seen}\n  trough"), "false"),
    (('equals: "exposed + trough", above: 0.5', 'equals: "exposed * trough"'), "false"),
    (("below: 0.1", "below: 0.3"), "true"),
    (("low: 0.3", "low: 0.2"), "true"),
    (
        ("take: value, at: 48 h, below: 0.1", "take: value, at: 36 h, above: 0.2"),
        "true",
    ),
    (
        (
            "  trough:",
            '  grade: {of: conc, take: maximum, within: "24 h to 48 h", '
            "grades: [0.4, 0.8]}\n  trough:",
        ),
        "false",
    ),
    (("block: 25", "block: 25"), "true"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("change", "kept"), MADE)
def test_limits_are_made_anew_of_what_is_stored(edited, tmp_path, change, kept):
    sheets, record = edited(kept)
    sheets.change("small", *change)
    protocol = vt.conduct.protocol_for(record, sheets.write())
    found = vt.evaluate(record.tree(), protocol)
    right = simulated(sheets, tmp_path / "right")
    pd.testing.assert_frame_equal(found.endpoints, right.endpoints)
    pd.testing.assert_frame_equal(found.contrasts, right.contrasts)


@pytest.mark.parametrize(
    "change",
    [
        ("below: 0.1", "below: 0.3"),
        ("low: 0.3", "low: 0.2"),
        ("0 h to 48 h", "0 h to 24 h"),
    ],
)
def test_what_was_reduced_is_not_made_of_nothing(edited, change):
    sheets, record = edited("false")
    faults = refused(sheets.change("small", *change), record)
    assert any(path.startswith("endpoints.") for path in faults)


@pytest.mark.slow
def test_a_moved_visit_is_read_as_it_was_run(edited, tmp_path):
    sheets, _ = edited()
    sheets.change("small", "measure: [conc]}", "measure: [conc], window: 1 h}")
    record = vt.run(sheets.load(), out=tmp_path / "moved", workers=0)
    sheets.change("small", "low: 0.3", "low: 0.2")
    protocol = vt.conduct.protocol_for(record, sheets.write())
    found = vt.evaluate(record.tree(), protocol)
    right = simulated(sheets, tmp_path / "right")
    pd.testing.assert_frame_equal(found.endpoints, right.endpoints)


def test_python_is_refused_like_a_sheet(run):
    _, record = run["true"]
    protocol = vt.conduct.protocol_of(record)
    arms = tuple(dataclasses.replace(arm, regimen=None) for arm in protocol.arms)
    with pytest.raises(ProtocolError, match=r"arms\.low\.dose is nothing, but"):
        vt.evaluate(record.tree(), dataclasses.replace(protocol, arms=arms))


def test_a_protocol_that_python_changed_is_stored_as_it_was_run(edited, tmp_path):
    sheets, _ = edited()
    protocol = sheets.load()
    low, high = protocol.arms
    arms = (dataclasses.replace(low, regimen=high.regimen), high)
    changed = dataclasses.replace(protocol, arms=arms)
    record = vt.run(changed, out=tmp_path / "run", workers=0)
    stored = vt.conduct.protocol_of(vt.open_record(tmp_path / "run"))
    assert stored.digest == changed.digest != protocol.digest
    assert stored.arms == arms
    text = record.attributes["sheets"]["protocol"]
    assert "Changed from Python" in text
    assert "arms.low.dose" in text.splitlines()[1]
    assert (tmp_path / "run/sheets/small.yaml").read_text() == text
    right = vt.evaluate(record.tree(), changed)
    found = vt.evaluate(record.tree(), stored)
    pd.testing.assert_frame_equal(found.endpoints, right.endpoints)
    assert set(refused(sheets, record)) == {"arms.low.dose"}


@pytest.mark.slow
def test_a_model_that_python_changed_is_stored_as_it_was_run(edited, tmp_path):
    sheets, _ = edited()
    protocol = sheets.load(replicates=1)
    known = protocol.model.parameters
    faster = dataclasses.replace(known[1], value=50.0)
    model = dataclasses.replace(protocol.model, parameters=(known[0], faster, known[2]))
    changed = dataclasses.replace(protocol, model=model)
    record = vt.run(changed, out=tmp_path / "run", workers=0)
    stored = vt.conduct.protocol_of(record)
    assert stored.model.digest == model.digest
    peak = vt.evaluate(record.tree(), stored).endpoints["estimate"][0]
    slow = vt.run(protocol, out=tmp_path / "slow", workers=0)
    assert peak < 0.9 * vt.evaluate(slow.tree(), protocol).endpoints["estimate"][0]
    assert np.isfinite(peak)


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in shipped("protocols").glob("*.yaml"))
)
def test_shipped_protocols_are_stored_whole(name):
    protocol = vt.load_protocol(name)
    stored = read_protocol(write_protocol(protocol))
    assert stored.digest == protocol.digest
    assert stored.model.digest == protocol.model.digest
    for part in ("arms", "endpoints", "design", "analysis", "evidence", "sources"):
        assert getattr(stored, part) == getattr(protocol, part), part
