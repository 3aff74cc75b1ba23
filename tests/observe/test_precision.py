"""What 32 bits cost is measured, once, and stands in the record and the report."""

import json

import numpy as np
import pytest

import vtrial as vt
from vtrial.conduct import run as coordinator
from vtrial.errors import ProtocolError
from vtrial.observe.block_program import Trial
from vtrial.observe.precision import precision_error, relative_error
from vtrial.report.computed import computed_lines

SINGLE = "seed: 11\nnumerics: {precision: 32}"


@pytest.fixture
def single(sheets):
    return sheets.change("small", "seed: 11", SINGLE)


@pytest.fixture
def measured(monkeypatch):
    """Note on how many subjects the error is measured in this process."""
    done, real = [], coordinator.precision_error

    def note(trial, subjects):
        done.append(subjects)
        return real(trial, subjects)

    monkeypatch.setattr(coordinator, "precision_error", note)
    return done


def told(record):
    return record.attributes["precision_error"]


@pytest.mark.slow
def test_the_record_holds_the_error_and_the_report_prints_it(single, tmp_path):
    protocol = single.load()
    record = vt.run(protocol, out=tmp_path / "run", workers=0)
    found = told(record)
    assert (found["subjects"], found["arms"], found["solutions"]) == (30, 2, 60)
    assert found["status"] == 0
    times = 4 + len(protocol.grid)
    for error in found["outputs"].values():
        assert 1e-9 < error["median"] < error["max"] < 2e-5
        assert 0.9 * 60 * times < error["values"] <= 60 * times
    lines = {
        line.name: line.words for line in computed_lines(protocol, record.attributes)
    }
    words = lines["Error of 32 bits"]
    assert words.startswith("conc ")
    assert "% at most, half below" in words
    assert "30 subjects under each of 2 arms" in words
    assert "status differs in 0 of 60 solutions" in words


@pytest.mark.slow
def test_an_error_is_what_two_runs_differ_by(sheets):
    """Solved again by blocks in both precisions, true values differ as much."""
    sheets.change("small", "trajectories: quantiles", "trajectories: all")
    double = sheets.load(replicates=1)
    single = sheets.change("small", "seed: 11", SINGLE).load(replicates=1)
    planned = vt.plan(single)
    error = precision_error(Trial(single, planned.cohort), planned.compared)
    trials = [Trial(protocol, planned.cohort) for protocol in (single, double)]
    number = np.arange(30)
    pairs = []
    for arm in single.arms:
        people = [trial.people(trial.identity(0)) for trial in trials]
        seen = [
            trial.observe(arm, who, number[:25])
            for trial, who in zip(trials, people, strict=True)
        ]
        pairs.append([np.asarray(part.values)[:25, 0] for part in seen])
    worst = max(relative_error(*pair).max() for pair in pairs)
    assert 0.2 * error["outputs"]["conc"]["max"] < worst
    assert worst <= error["outputs"]["conc"]["max"]


@pytest.mark.slow
def test_the_error_is_measured_once(single, tmp_path, measured):
    out = tmp_path / "run"
    first = told(vt.run(single.load(), out=out, workers=0))
    again = told(vt.run(single.load(), out=out, workers=0))
    more = told(vt.run(single.load(replicates=5), out=out, workers=0))
    assert measured == [30]
    assert first == again == more
    assert told(vt.run(single.load(), out=out, workers=0, restart=True)) == first
    assert measured == [30, 30]


@pytest.mark.slow
def test_a_run_stopped_before_it_measures_it_later(single, tmp_path, monkeypatch):
    out = tmp_path / "run"

    def stop(trial, subjects):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(coordinator, "precision_error", stop)
        with pytest.raises(KeyboardInterrupt):
            vt.run(single.load(), out=out, workers=0)
    assert not vt.open_record(out).complete
    record = vt.run(single.load(), out=out, workers=0)
    assert record.complete
    assert told(record)["subjects"] == 30


@pytest.mark.slow
def test_neither_blocks_nor_workers_change_it(single, tmp_path):
    alone = vt.run(single.load(), out=tmp_path / "alone", workers=0)
    crowd = vt.run(single.load(block=7), out=tmp_path / "crowd", workers=2)
    assert told(alone) == told(crowd)


@pytest.mark.slow
def test_64_bits_are_compared_with_nothing(sheets, tmp_path, measured):
    record = vt.run(sheets.load(), out=tmp_path / "run", workers=0)
    assert "precision_error" not in record.attributes
    assert measured == []
    assert "precision" not in vt.plan(sheets.load()).words()


def test_a_plan_says_that_it_will_be_measured(single):
    planned = vt.plan(single.load())
    assert "measured on 30 subjects under each arm" in planned.words()
    assert json.loads(json.dumps(planned.as_data()))["compared_with_64_bits"] == 30
    assert vt.plan(single.load(subjects=500)).compared == 64


@pytest.mark.parametrize("rtol", ["9e-7", "1e-8"])
def test_a_tolerance_finer_than_32_bits_is_refused_with_its_line(sheets, rtol):
    wish = f"seed: 11\nnumerics: {{precision: 32, rtol: {rtol}}}"
    sheets.change("small", "seed: 11", wish)
    with pytest.raises(ProtocolError) as refused:
        vt.plan(sheets.load())
    (fault,) = refused.value.faults
    assert fault.at == "numerics.rtol"
    assert rtol[0] in fault.found
    assert (
        fault.line
        == sheets.texts["small"]
        .splitlines()
        .index(f"numerics: {{precision: 32, rtol: {rtol}}}")
        + 1
    )
    sheets.change("small", f"rtol: {rtol}", fault.write)
    assert vt.plan(sheets.load()).protocol.numerics.rtol == 1e-6


def test_errors_are_relative_to_the_value_or_the_floor():
    wanted = np.array([[0.0, 200.0, 0.01], [0.0, 0.0, 0.0], [np.nan, 1.0, 2.0]])
    found = np.array([[0.0, 202.0, 0.03], [0.0, 0.0, 0.0], [1.0, np.nan, 2.0]])
    np.testing.assert_allclose(relative_error(found, wanted), [0.01, 0.1, 0.0])
