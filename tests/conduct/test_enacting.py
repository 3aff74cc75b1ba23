"""From a sheet with looks to enacted trials, their tables and their page."""

import dataclasses

import numpy as np
import pytest

import vtrial as vt
from vtrial.cli.app import app
from vtrial.conduct.design_grid import read_variation, rescaled, size_for, varied
from vtrial.design.trials import Trials
from vtrial.errors import ProtocolError

SHEET = """
protocol: looked-at
model: one-compartment-oral
cohort: adults
subjects: 40
replicates: 6
seed: 2
potential: all
arms:
  low: {dose: 100 mg}
  high: {dose: 120 mg}
visits: {late: {at: "2 h, 8 h", measure: [conc]}}
endpoints:
  peak: {of: conc, take: maximum}
  high peak: {of: conc, take: maximum, above: 1.5 mg/L}
analysis:
  - {name: main, compare: high with low, on: peak, by: difference of means}
  - {name: shares, compare: high with low, on: high peak, by: risk difference}
design:
  accrual: 20 / month
  arrivals: poisson
  known after: 3 d
  looks: {half: 50 %, end: 100 %}
  adapt:
    stop: {by: posterior probability, on: main, success: 95 %, futility: 10 %}
    lean: {by: response adaptive, on: peak, floor: 20 %, looks: half}
keep: {trajectories: nothing}
"""


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    protocol = vt.load_protocol(SHEET)
    return vt.run(protocol, out=tmp_path_factory.mktemp("looked") / "at", workers=0)


@pytest.fixture(scope="module")
def protocol():
    return vt.load_protocol(SHEET)


def same(one, other):
    for part in dataclasses.fields(Trials):
        a, b = getattr(one, part.name), getattr(other, part.name)
        np.testing.assert_array_equal(a, b, err_msg=part.name)


def test_a_trial_of_the_record_has_its_own_people(record, protocol):
    made = vt.enact(record, protocol)
    assert len(made) == 6
    table = record.subjects("low")
    one = vt.enact(record, dataclasses.replace(protocol, replicates=6), trials=2)
    same(one, vt.enact(record, protocol, trials=2))
    whole = made.ended == 1
    assert (made.size[whole] == 40).all()
    assert len(table) == 240


def test_more_trials_are_added_and_none_is_changed(record, protocol):
    few = vt.enact(record, protocol, trials=30)
    many = vt.enact(record, protocol, trials=50)
    again = vt.enact(record, protocol, trials=30)
    same(few, again)
    same(
        few,
        Trials(*(getattr(many, f.name)[:30] for f in dataclasses.fields(Trials))),
    )


def test_the_end_is_what_the_record_shows(record, protocol):
    """Without looks before it, an enacted end is the analysis of the record itself."""
    plain = vt.load_protocol(
        SHEET[: SHEET.index("  looks:")] + SHEET[SHEET.index("keep:") :]
    )
    made = vt.enact(record, plain)
    from vtrial.analysis.comparison import answered
    from vtrial.analysis.reading import chunks_of

    (chunk,) = chunks_of(record.tree(), plain)
    for place, comparison in enumerate(plain.analysis.comparisons):
        found = answered(chunk, comparison, plain)
        np.testing.assert_array_equal(made.final[:, place], found.estimate)
        np.testing.assert_array_equal(made.success[:, place], found.p < 0.05)


def test_tables_and_page_say_what_was_enacted(record, protocol, tmp_path):
    vt.enact(record, protocol, trials=50)
    found = vt.evaluate(record.tree(), protocol)
    size = found.enacted.set_index(["of", "measure"])["value"]
    assert 20 <= size["", "expected size"] <= 40
    assert {"shown", "true effect", "bias", "coverage"} <= set(size["main"].index)
    decided = found.decided[found.decided["comparison"] == "main"]
    assert decided["share"].sum() == pytest.approx(1.0)
    assert found.looks["ended"].sum() == pytest.approx(1.0)
    page = vt.render(found, protocol, tmp_path, attributes=record.tree().attrs)
    words = page.read_text()
    assert "Enacted 50 times with its looks" in words
    assert "The trial as it would go" in words
    assert (tmp_path / "figures" / "decisions-main.svg").exists()


def test_a_grid_varies_the_design_and_simulates_nothing_again(protocol):
    key, values = read_variation("looks.half=25 %, 75 %")
    made = list(varied(protocol, {key: values}))
    assert [settings for settings, _ in made] == [{key: "25 %"}, {key: "75 %"}]
    assert {one.digest for _, one in made} == {protocol.digest}
    assert [one.enactment.looks[0].information for _, one in made] == [0.25, 0.75]
    (_, other), *_ = varied(protocol, {"parameters.tvCL": [9.0]})
    assert other.digest != protocol.digest
    with pytest.raises(ProtocolError, match="looks"):
        list(varied(protocol, {"look.half": ["20 %"]}))


def test_a_size_is_found_whose_power_is_as_asked(record, protocol):
    plain = vt.load_protocol(
        SHEET[: SHEET.index("  looks:")] + SHEET[SHEET.index("keep:") :]
    )
    found = size_for(record, plain, power=0.8, comparison="main", trials=400)
    assert found.power == pytest.approx(0.8, abs=0.06)
    assert found.size == pytest.approx(found.guess, rel=0.25)
    assert rescaled(plain, found.size).enactment.planned == found.size


@pytest.mark.slow
def test_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "looked-at.yaml").write_text(SHEET)
    grid = ["--grid", "adapt.lean.floor=10 %, 40 %"]
    app(["design", "looked-at.yaml", "--trials", "20", *grid], standalone_mode=False)
    said = capsys.readouterr().out
    assert "expected size" in said
    assert "adapt.lean.floor" in said
