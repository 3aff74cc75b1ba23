"""The page: whole, self-contained, escaped, the same twice, and written at once."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from tests.altered import altered
from vtrial.endpoint.endpoint import Endpoint
from vtrial.protocol.evidence import Observed, Published
from vtrial.protocol.protocol import Arm
from vtrial.report.page import render

VOID = {"meta", "link", "br", "img", "input", "hr"}
LOADS = {"src", "href", "xlink:href", "data", "poster", "action", "srcset"}
SECTIONS = [
    "answer",
    "design",
    "flow",
    "contrasts",
    "bands",
    "published",
    "endpoints",
    "distributions",
    "failures",
    "computed",
    "sources",
]
ATTRIBUTES = {
    "digest": "c0ffee" * 8,
    "seed": 2006,
    "device": "cpu",
    "versions": '{"vtrial": "0.1.0", "jax": "0.10.2"}',
    "method": "explicit",
    "reason": "nonlinear, not stiff",
}


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, text, and balance."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open, self.crossed = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append((tag, self.getpos()))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return re.sub(r"[ \n]+", " ", " ".join(self.words))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(protocol, estimates, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    page = render(estimates, protocol, folder, attributes=ATTRIBUTES)
    assert page == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def rendered(protocol, estimates, folder):
    path = render(estimates, protocol, folder, attributes=ATTRIBUTES)
    return Page(path.read_text(encoding="utf-8"))


def test_sections_stand_in_their_order(page):
    assert [s["id"] for s in page.all("section")] == SECTIONS
    assert not page.crossed
    assert not page.open
    linked = [a["href"] for a in page.all("a") if a["href"].startswith("#")]
    assert linked[1:] == [f"#{section}" for section in SECTIONS]


def test_nothing_is_fetched(page, folder):
    for tag, attrs in page.tags:
        for name in LOADS & set(attrs):
            if not attrs[name].startswith("#"):
                assert tag == "a", (tag, attrs)
                assert attrs[name].startswith("https://"), attrs
    assert page.all("script") == [{}]
    assert not page.all("link")
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "@import" not in text
    assert "url(http" not in text


def test_page_is_accessible(page):
    assert page.all("html")[0]["lang"] == "en"
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(page.all(landmark)) == 1, landmark
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        assert set(svg["aria-labelledby"].split()) <= set(ids)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head["scope"] in {"col", "row"} for head in page.all("th"))


def test_headline_miss_and_doubt_are_in_words(page):
    assert "Of 2 published numbers (1 unverified) 1 is met" in page.text
    assert "Missed: grade 4, 60 mg/m² (38.1\u202f%, published 30.0\u202f%)" in page.text
    assert page.words.count("MISS") == 1
    assert page.words.count("unverified") == 1
    assert (
        "Grade 4: 69.6\u202f% under 100 mg/m² and 53.8\u202f% under 75 mg/m², a risk "
        "difference of 19.4\u202fpp (95\u202f% of single trials: 11.0 to 28.0\u202fpp)."
    ) in page.text


def test_design_and_computation_are_in_words(page):
    for words in (
        "200 replicate trials of 527 subjects each (105,400 in all)",
        "1:1:1 to 60 mg/m², 75 mg/m² and 100 mg/m²; permuted blocks of 6",
        "day 0 to 126, every 7 d (19 times), each moved by up to ±24 h",
        "share of subjects with lowest anc from day 0 to day 21, below 0.5 × 10⁹/L",
        "nonlinear, not stiff",
        "vtrial 0.1.0, jax 0.10.2",
        "c0ffee" * 8,
        "step limit reached",
    ):
        assert words in page.text, words


def test_citations_link_to_their_doi(page):
    links = [a["href"] for a in page.all("a")]
    assert "https://doi.org/10.1000/182" in links


def test_every_figure_and_table_is_written(folder, estimates):
    names = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert names == {path.stem for path in (folder / "figures").glob("*.csv")}
    assert not list((folder / "figures").glob("*.png"))
    assert names == {
        "flow",
        "published-share",
        "contrasts-risk-difference",
        "contrasts-ratio-of-geometric-means",
        "band-anc-linear",
        "band-anc-log",
        "band-conc-linear",
        "band-conc-log",
        "responders",
        "distribution-nadir",
    }
    for name in ("flow", "endpoints", "contrasts", "bands", "failures", "published"):
        read = pd.read_csv(folder / "tables" / f"{name}.csv")
        assert len(read) == len(getattr(estimates, name))
        assert list(read) == list(getattr(estimates, name))
    values = pd.read_csv(folder / "tables" / "endpoints.csv")["estimate"]
    np.testing.assert_allclose(values, estimates.endpoints["estimate"], rtol=1e-12)
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_two_renders_give_the_same_bytes(folder, protocol, estimates, tmp_path):
    render(estimates, protocol, tmp_path, attributes=ATTRIBUTES)
    for path in folder.rglob("*.*"):
        again = tmp_path / path.relative_to(folder)
        assert path.read_bytes() == again.read_bytes(), path.name


def test_titles_are_text_not_markup(protocol, make_estimates, tmp_path):
    bad = "<script>alert('x')</script> $\\frac{"
    anc = replace(protocol.endpoint("nadir"), title=bad)
    arms = tuple(replace(arm, title="<b>&" + arm.name) for arm in protocol.arms)
    source = replace(protocol.sources[0], cite=bad, doi="", url="javascript:alert(1)")
    hostile = replace(
        protocol,
        title=bad,
        arms=arms,
        endpoints=(protocol.endpoint("grade 4"), anc),
        sources=(source,),
        text=f"protocol: x\ntitle: {bad}\n",
    )
    page = rendered(hostile, make_estimates(hostile), tmp_path)
    assert page.all("script") == [{}]
    assert not page.all("b") or all(not attrs for attrs in page.all("b"))
    assert bad in page.text
    assert not page.crossed
    assert not [a for a in page.all("a") if "javascript" in a["href"]]


def test_one_arm_without_published_contrasts_or_failures(
    make_protocol, make_estimates, tmp_path
):
    protocol = make_protocol(arms=("once",), published=(), replicates=1, sources=())
    page = rendered(protocol, make_estimates(protocol, failed=0), tmp_path)
    for words in (
        "docetaxel-made-up: one trial of 527 subjects",
        "Grade 4: 38.1\u202f%.",
        "The protocol names no published outcome to stand beside.",
        "The protocol asks for no comparison.",
        "No subject's equations failed to solve.",
        "one arm; nothing to allocate",
    ):
        assert words in page.text, words
    assert not list((tmp_path / "figures").glob("contrasts*"))


def test_empty_estimates_still_make_a_page(make_protocol, make_estimates, tmp_path):
    protocol = make_protocol(endpoints=(), comparisons=(), published=(), observed=())
    full = make_estimates(protocol)
    bare = {
        name: getattr(full, name).iloc[:0]
        for name in ("endpoints", "contrasts", "bands", "distributions", "published")
    }
    page = rendered(protocol, replace(full, **bare), tmp_path)
    assert [s["id"] for s in page.all("section")] == SECTIONS
    assert "The protocol asks for no endpoint." in page.text


def test_missing_numbers_are_dashes(protocol, estimates, tmp_path):
    contrasts = estimates.contrasts.assign(estimate=np.nan, low=np.nan, high=np.nan)
    endpoints = estimates.endpoints.assign(low=np.nan, high=np.nan, mc_error=np.nan)
    holed = replace(estimates, contrasts=contrasts, endpoints=endpoints)
    page = rendered(protocol, holed, tmp_path)
    assert "nan" not in page.text.lower().replace("finance", "").split()
    assert "–" in page.words


@pytest.mark.slow
def test_many_endpoints_and_arms_are_drawn_in_part_and_kept_whole(
    make_protocol, make_estimates, tmp_path
):
    protocol = make_protocol(arms=tuple(f"d{10 * k}" for k in range(1, 10)))
    points = tuple(
        Endpoint(f"level {k}", "anc", "minimum", 0.0, 504.0, title=f"Level {k}")
        for k in range(60)
    )
    protocol = altered(protocol, endpoints=points, comparisons=(), published=())
    full = make_estimates(protocol)
    one = full.distributions[full.distributions["arm"].isin(["d10", "d20"])]
    many = pd.concat([one.assign(endpoint=point.name) for point in points])
    page = rendered(protocol, replace(full, distributions=many), tmp_path)
    drawn = list((tmp_path / "figures").glob("distribution*.svg"))
    assert len(drawn) == 24
    assert "24 of 60 are drawn; all are in tables/distributions.csv." in page.text
    assert len(pd.read_csv(tmp_path / "tables" / "distributions.csv")) == len(many)


def test_page_is_not_touched_when_rendering_fails(folder, protocol, estimates):
    before = (folder / "report.html").read_bytes()
    broken = replace(estimates, contrasts=estimates.contrasts.drop(columns="by"))
    with pytest.raises(KeyError):
        render(broken, protocol, folder, attributes=ATTRIBUTES)
    assert (folder / "report.html").read_bytes() == before


def test_measured_points_of_another_arm_stay_away(protocol, estimates, tmp_path):
    seen = (Observed("anc", (0.0, 24.0), (5.0, 50.0), "d100"),)
    trial = altered(protocol, observed=seen)
    page = rendered(trial, estimates, tmp_path)
    assert "Circles: measured in the real study." in page.text
    svg = (tmp_path / "figures" / "band-anc-linear.svg").read_text()
    assert svg.count("<use") > 10


def test_published_comparison_is_named(protocol, estimates, tmp_path):
    point = Published(0.1, 0.0, 0.2, comparison="c1")
    trial = altered(protocol, published=(point,))
    frame = estimates.published.head(1).assign(
        published=0.1,
        simulated=0.19,
        low=0.0,
        high=0.2,
        within=True,
        comparison="c1",
        arm="",
        endpoint="",
        kind="points",
    )
    page = rendered(trial, replace(estimates, published=frame), tmp_path)
    assert "100 mg/m² with 75 mg/m², grade 4: risk difference" in page.text
    assert "19.0\u202fpp" in page.text


def test_an_arm_that_sets_values_says_so(protocol, make_estimates, tmp_path):
    data = {"arms": {"d60": {"set": {"BASE": "5.2 * 2"}}}}
    arm = Arm("d60", set=(("BASE", protocol.model.statements[0].expression),))
    trial = replace(protocol, arms=(arm, *protocol.arms[1:]), data=data)
    page = rendered(trial, make_estimates(trial), tmp_path)
    assert "sets BASE = 5.2 * 2" in page.text


def test_importing_vtrial_draws_nothing():
    code = (
        "import sys, vtrial, vtrial.report;"
        "print([m for m in ('matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_rendering_leaves_matplotlib_as_it_was(protocol, estimates, tmp_path):
    before = dict(mpl.rcParams)
    render(estimates, protocol, tmp_path, attributes={})
    assert dict(mpl.rcParams) == before


def test_drawing_needs_no_global_canvas():
    code = (
        "import sys, vtrial.report.page;assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_linear_scale_ends_where_nothing_more_is_seen(protocol, estimates, tmp_path):
    bands = estimates.bands
    brief = bands[bands["output"] == "conc"].copy()
    brief.loc[brief["time"] > 240, "value"] = 1e-7
    page = rendered(protocol, replace(estimates, bands=brief), tmp_path)
    assert "Later all is below 1 % of the highest" in page.text
    assert page.text.count("Later all is below") == 1


def test_names_alike_get_files_of_their_own(protocol, estimates, tmp_path):
    one = estimates.distributions
    two = pd.concat([one.assign(endpoint=name) for name in ("a > b", "a < b")])
    page = rendered(protocol, replace(estimates, distributions=two), tmp_path)
    names = {path.name for path in (tmp_path / "figures").glob("distribution*.svg")}
    assert names == {"distribution-a-b.svg", "distribution-a-b--2.svg"}
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_of_many_arms_figures_show_some_and_tables_all(
    make_protocol, make_estimates, tmp_path
):
    many = make_protocol(arms=tuple(f"d{dose}" for dose in range(60, 101)))
    page = render(make_estimates(many), many, tmp_path, attributes=ATTRIBUTES)
    drawn = pd.read_csv(tmp_path / "figures" / "band-anc-linear.csv")["arm"].unique()
    assert [drawn[0], drawn[-1], len(drawn)] == ["d60", "d100", 16]
    assert pd.read_csv(tmp_path / "tables" / "bands.csv")["arm"].nunique() == 41
    assert "16 of 41 arms are drawn; the tables hold all." in page.read_text()
