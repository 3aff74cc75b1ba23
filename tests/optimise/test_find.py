"""From a sheet to a verified regimen, and what it leaves behind."""

import json
import math
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

import vtrial as vt
from vtrial.errors import ProtocolError
from vtrial.optimise import optimum as nouns
from vtrial.optimise.crowd import People
from vtrial.optimise.problem import Problem

LIMITED = """  maximise: exposure
  subject to: [{on: high, at most: 10 %}]
  front: {against: high, points: 3}"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    from tests.optimise.conftest import Folder

    folder = Folder(tmp_path_factory.mktemp("sheets"))
    folder.change("  maximise: inside", LIMITED)
    said = []
    made = vt.find_regimen(
        folder.load(), out=folder.path / "out", search=300, verify=900, tell=said.append
    )
    return made, said, folder.path / "out"


@pytest.mark.slow
def test_what_is_found_can_be_given_and_holds_on_fresh_people(found):
    made, said, _ = found
    assert made.point[0] % 25 == 0
    assert made.values == {"amount": f"{made.point[0]:g} mg"}
    assert made.regimen.steps[0].levels[0].amount.value == made.point[0]
    assert made.holds
    limit = made.verification.set_index("role").loc["limit"]
    assert limit["verified"] <= 0.1
    assert limit["verdict"].startswith("holds")
    assert limit["low"] < limit["verified"] < limit["high"]
    assert said[-1].endswith("on fresh people: holds")


@pytest.mark.slow
def test_both_numbers_are_told_and_who_did_not_hold_is_shown(found):
    table = found[0].candidates
    tried = table[table["verified"]]
    assert (tried["holds"] == "yes").sum() == 1
    failed = tried[tried["holds"] == "no"]
    assert (failed["high verified"] > 0.1).all()
    assert (failed["high"] <= 0.1).all(), "only what held in the search is verified"
    assert {"goal", "goal verified"} <= set(table)


@pytest.mark.slow
def test_the_front_goes_up_with_what_it_costs(found):
    front = found[0].front
    assert len(front) == 3
    assert front["against"].is_monotonic_increasing
    assert front["goal"].is_monotonic_increasing


@pytest.mark.slow
def test_it_is_written_whole_and_as_data(found, monkeypatch):
    made, _, folder = found
    data = json.loads((folder / nouns.FILE).read_text())
    assert data["values"] == made.values
    assert len(data["course"]) == len(made.course)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(nouns.Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        nouns.write_optimum(made, folder)
    assert json.loads((folder / nouns.FILE).read_text()) == data
    assert [path.name for path in folder.iterdir()] == [nouns.FILE]


@pytest.mark.slow
def test_a_page_shows_search_front_and_verification(found, tmp_path):
    made = found[0]
    page = vt.report.render_optimum(
        made.protocol, made.frames, tmp_path, words=made.words, by=made.by
    )
    text = page.read_text()
    assert all(word in text for word in ("Verification", "front", "The search"))
    assert (tmp_path / "tables" / "candidates.csv").is_file()


@pytest.mark.slow
def test_few_real_values_are_all_looked_at(sheets, quiet):
    """No library is needed where there are no more candidates than evaluations."""
    sheets.change(
        "from: 100 mg, to: 1500 mg, step: 25 mg, start: 200 mg",
        "values: [300 mg, 500 mg]",
    )
    sheets.change("  maximise: inside", "  maximise: inside\n  by: Bayesian")
    made = vt.find_regimen(sheets.load(), search=60, verify=60, tell=quiet)
    assert made.point == (500.0,)
    assert len(made.course) == 2


@pytest.mark.slow
def test_without_the_library_it_is_said_what_to_install(sheets, quiet, monkeypatch):
    monkeypatch.setitem(sys.modules, "bayes_opt", None)
    sheets.change("  maximise: inside", "  maximise: inside\n  by: Bayesian")
    with pytest.raises(ProtocolError, match=r"pip install 'vtrial\[optimise\]'"):
        vt.find_regimen(sheets.load(), search=20, verify=20, tell=quiet)


@pytest.mark.slow
def test_bayesian_optimisation_comes_to_the_same(sheets, quiet):
    pytest.importorskip("bayes_opt")
    sheets.change("  maximise: inside", "  maximise: inside\n  by: Bayesian")
    sheets.change("  search:", "  evaluations: 20\n  search:")
    made = vt.find_regimen(sheets.load(), search=400, tell=quiet)
    again = vt.find_regimen(sheets.load(), search=400, tell=quiet)
    assert len(made.course) == 20
    assert made.point[0] == pytest.approx(480.0, abs=75.0)
    assert again.point == made.point


@pytest.mark.slow
def test_the_same_sheet_finds_the_same(sheets, quiet):
    sheets.change("  maximise: inside", LIMITED)
    one, two = (vt.find_regimen(sheets.load(), search=200, tell=quiet) for _ in "ab")
    assert one.digest == two.digest
    for name, table in one.frames.items():
        pd.testing.assert_frame_equal(table, two.frames[name], check_exact=True)


@pytest.mark.slow
def test_a_limit_in_most_replicates_is_stricter_than_in_the_mean(sheets, quiet):
    """With a clearance that is uncertain itself."""
    sheets.change("unit: L/h}", "unit: L/h, rse: 20 %}", name="cleared")
    sheets.change("step: 25 mg", "step: 5 mg")
    sheets.change("search: {subjects: 400}", "search: {subjects: 600, replicates: 20}")
    sheets.change("verify: {subjects: 1000}", "verify: {subjects: 600, replicates: 20}")
    limit = "  maximise: exposure\n  subject to: [{on: high, at most: 10 %%%s}]"
    sheets.change("  maximise: inside", limit % ", confidence: 90 %")
    strict = vt.find_regimen(sheets.load(), tell=quiet)
    row = strict.verification.iloc[1]
    assert row["role"] == "limit, share of replicates"
    held = strict.candidates.iloc[0]["high"]
    assert held >= 0.9
    problem = Problem(strict.protocol, vt.plan(strict.protocol).cohort)
    drawn = People(problem, problem.asked.search).subjects.parameters["tvCL"]
    least = np.quantile(np.unique(np.asarray(drawn)), 0.1)
    highest = 200 * least * math.exp(0.3 * ndtri(0.1))
    assert strict.point[0] == pytest.approx(highest, rel=0.1)
    assert strict.point[0] < 200 * 4 * math.exp(0.3 * ndtri(0.1))


def test_nothing_to_optimise_is_refused():
    with pytest.raises(ProtocolError, match="optimise is missing"):
        vt.find_regimen(vt.load_protocol("docetaxel-dose"))


@pytest.mark.slow
def test_a_gradient_is_refused_where_there_is_none(sheets, quiet):
    sheets.change("every 24 h x 1", "every 24 h x {times}")
    sheets.change("  vary:", "  vary:\n    times: {values: [1, 2]}")
    sheets.change("  maximise: inside", "  maximise: inside\n  by: gradient")
    protocol = sheets.load()
    problem = Problem(protocol, vt.plan(protocol).cohort)
    assert problem.why_not == "the number of doses varies"
    with pytest.raises(ProtocolError, match="number of doses varies"):
        vt.find_regimen(protocol, tell=quiet)
