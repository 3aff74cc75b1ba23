"""Two runs side by side: what differs, by how much, and how well that is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.altered import altered
from vtrial.report.run_comparison import (
    Run,
    differences,
    differences_in_words,
    juxtapose,
)


@pytest.fixture(scope="module")
def runs(protocol, estimates, make_protocol, make_estimates):
    other = make_protocol(arms=("d75", "d100", "d120"), seed=7, comparisons=())
    seen = make_estimates(other)
    shifted = seen.endpoints.assign(estimate=seen.endpoints["estimate"] + 0.01)
    second = replace(seen, endpoints=shifted, contrasts=seen.contrasts.iloc[:0])
    return Run(estimates, protocol, {}), Run(second, other, {"digest": "beef" * 8})


def test_only_differing_lines_are_told(runs):
    lines = differences(*runs)["design"].set_index("line")
    assert tuple(lines.loc["Seed"]) == ("2006", "7")
    assert lines.loc["Arm d60", "b"] == "–"
    assert lines.loc["Arm d120", "a"] == "–"
    assert "Size" not in lines.index
    assert "Arm d75" not in lines.index
    same = differences(runs[0], runs[0])
    assert same["design"].empty


def test_differences_are_the_second_less_the_first_with_both_errors(runs):
    one, other = (run.estimates.endpoints for run in runs)
    frame = differences(*runs)["endpoints"]
    keys = ["arm", "endpoint", "statistic"]
    both = one.merge(other, on=keys, suffixes=("_a", "_b"))
    here = frame.merge(both[[*keys, "estimate_a", "estimate_b"]], on=keys)
    assert len(here) == 2 * 4
    expected = here["estimate_b"] - here["estimate_a"]
    np.testing.assert_allclose(here["difference"], expected)
    np.testing.assert_allclose(here["mc_error"], np.hypot(0.0022, 0.0022))
    alone = frame[frame["arm"].isin(["d60", "d120"])]
    assert len(alone) == 2 * 4
    assert alone["difference"].isna().all()
    assert set(frame["arm"]) == {"d60", "d75", "d100", "d120"}


def test_numbers_in_different_units_are_not_subtracted(runs):
    first, second = runs
    other = second.estimates.endpoints.assign(unit="1e6/L")
    changed = second._replace(estimates=replace(second.estimates, endpoints=other))
    frame = differences(first, changed)["endpoints"]
    assert frame["difference"].isna().all()


def test_a_run_beside_itself_differs_in_nothing(runs):
    for name in ("endpoints", "contrasts", "published"):
        frame = differences(runs[0], runs[0])[name]
        assert len(frame)
        assert (frame["difference"] == 0).all()


def test_words_for_a_terminal(runs):
    tables = differences_in_words(*runs)
    assert list(tables) == [
        "What differs in the design",
        "Endpoints",
        "Comparisons",
        "Published",
    ]
    rows = tables["Endpoints"]
    shares = rows[rows["Endpoint"].str.contains("share")].set_index("Arm")
    assert shares.loc["60 mg/m²", "B"] == "–"
    assert shares.loc["100 mg/m²", "Difference"].endswith("pp (± 0.31\u202fpp)")
    published = tables["Published"].set_index("What")
    assert published.loc["grade 4, 60 mg/m²", "A"] == "38.1\u202f% (MISS)"


@pytest.mark.slow
def test_page_holds_both_and_their_bands(runs, tmp_path):
    page = juxtapose(*runs, tmp_path, png=True)
    text = page.read_text(encoding="utf-8")
    assert "docetaxel-made-up beefbeef" in text
    assert "lines differ in design and computation" in text
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {
        f"overlay-{output}-{scale}.{kind}"
        for output in ("anc", "conc")
        for scale in ("linear", "log")
        for kind in ("svg", "png", "csv")
    } == names
    data = pd.read_csv(tmp_path / "figures" / "overlay-anc-log.csv")
    assert set(data["run"]) == {"A", "B"}
    read = pd.read_csv(tmp_path / "tables" / "compared_endpoints.csv")
    assert len(read) == len(differences(*runs)["endpoints"])
    again = juxtapose(*runs, tmp_path / "again")
    assert again.read_bytes() == page.read_bytes()


def test_runs_without_anything_to_compare_still_make_a_page(runs, tmp_path):
    first = runs[0]
    names = ("endpoints", "contrasts", "bands", "published")
    bare = {name: getattr(first.estimates, name).iloc[:0] for name in names}
    protocol = altered(first.protocol, endpoints=(), comparisons=(), published=())
    empty = Run(replace(first.estimates, **bare), protocol, {})
    text = juxtapose(empty, empty, tmp_path).read_text(encoding="utf-8")
    for words in (
        "The designs agree in every line.",
        "Neither run has an endpoint.",
        "Neither run has a comparison.",
        "Neither run names a published outcome.",
        "Neither run kept trajectories.",
    ):
        assert words in text
