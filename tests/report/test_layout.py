"""Figures: texts that fit, panels that are not flattened, curves that are read off."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from tests.altered import altered
from vtrial.report import gallery
from vtrial.report.bands import draw_bands, not_drawn
from vtrial.report.drawing import Drawing, house_style, keep, read_off
from vtrial.report.forest_layout import Frame, Row, draw_rows
from vtrial.report.histogram import Bars, draw_distribution
from vtrial.report.layout import lines_of, size_of
from vtrial.report.page import render
from vtrial.report.survival import draw_survival

LONG = "motesanib with carboplatin and paclitaxel, the shrinkage of tumours imposed"


@pytest.fixture(autouse=True)
def _style():
    with house_style():
        yield


def outside(figure):
    """List the texts of a figure that reach beyond it [2 % of an inch]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, slack = canvas.get_renderer(), 0.02 * figure.dpi
    found = []
    for text in figure.findobj(Text):
        hidden = text.axes is not None and not text.axes.get_visible()
        if hidden or not text.get_visible() or not text.get_text().strip():
            continue
        box = text.get_window_extent(renderer)
        inside = box.x0 > -slack and box.x1 < figure.bbox.width + slack
        inside &= box.y0 > -slack and box.y1 < figure.bbox.height + slack
        if not inside and not re.fullmatch(r"[−\d.,]+", text.get_text()):
            found.append(text.get_text())  # ticks beyond the axis are never drawn
    return found


@pytest.mark.slow
def test_no_text_reaches_beyond_its_figure(dosed, full, tmp_path, monkeypatch):
    arms = tuple(replace(arm, title=f"{LONG} {arm.name}") for arm in dosed.arms)
    points = tuple(replace(p, title=f"{p.name}, {LONG}") for p in dosed.endpoints)
    trial = replace(dosed, arms=arms, endpoints=points)
    cut, kept = {}, keep

    def watched(drawing, folder, *, png=False):
        cut[drawing.name] = outside(drawing.figure)
        return kept(drawing, folder, png=png)

    monkeypatch.setattr(gallery, "keep", watched)
    render(full, trial, tmp_path, attributes={})
    assert len(cut) > 20
    assert {name: texts for name, texts in cut.items() if texts} == {}


def test_lines_are_as_wide_as_their_room():
    lines = lines_of(LONG, 1.5, 9.0)
    assert " ".join(lines) == LONG
    assert len(lines) > 2
    assert all(size_of(line, 9.0)[0] <= 1.5 for line in lines)
    assert lines_of("incomprehensibilities", 0.2, 9.0) == ["incomprehensibilities"]


def test_rows_of_a_forest_do_not_meet():
    rows = [Row(LONG * (1 + place), "1.0", float(place)) for place in range(3)]
    figure = draw_rows(rows, Frame("value", sides=("less", "more")))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.axes[0].texts if text.get_text().strip()]
    boxes = sorted(
        (text.get_window_extent(canvas.get_renderer()) for text in texts),
        key=lambda box: -box.y1,
    )
    for place, box in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert not (box.shrunk(0.8, 0.6).overlaps(other.shrunk(0.8, 0.6)))
    assert "← less" in {text.get_text() for text in texts}


def of(bands, values):
    """Make all quantiles of all arms follow some values."""
    times = sorted(set(bands["time"]))
    told = dict(zip(times, np.resize(values, len(times)), strict=True))
    return bands.assign(value=[told[time] for time in bands["time"]])


def test_what_is_on_or_off_or_constant_is_not_drawn_over_time(
    protocol, estimates, tmp_path
):
    bands = estimates.bands
    conc = bands[bands["output"] == "conc"]
    assert not not_drawn(conc)
    assert "on or off" in not_drawn(of(conc, [0.0, 1.0, 1.0]))
    assert "on or off" in not_drawn(of(conc, [0.0, 100.0, 99.9999999, 100.0, 50.0]))
    assert "does not change" in not_drawn(of(conc, [3.0]))
    assert "does not change" in not_drawn(of(conc, [0.0]))
    assert not not_drawn(of(conc, [0.0, 1.0, 0.5, 0.25, 0.125]))
    steady = conc.assign(value=[1.0 + (arm == "d60") for arm in conc["arm"]])
    assert "does not change" in not_drawn(steady)
    both = pd.concat([bands[bands["output"] == "anc"], of(conc, [0.0, 1.0, 1.0])])
    page = render(replace(estimates, bands=both), protocol, tmp_path, attributes={})
    assert not list((tmp_path / "figures").glob("band-conc*"))
    assert "Not drawn: “plasma concentration” is on or off" in page.read_text()
    table = pd.read_csv(tmp_path / "tables" / "bands.csv")
    assert len(table) == len(both)


def test_a_spike_in_one_arm_does_not_flatten_the_others(protocol, estimates):
    bands = estimates.bands[estimates.bands["output"] == "anc"]
    alike = next(draw_bands(protocol, "anc", bands))
    limits = {axes.get_ylim() for axes in alike.figure.axes}
    assert len(limits) == 1
    assert "scale of its own" not in alike.caption
    spiked = bands.copy()
    spiked.loc[(bands["arm"] == "d60") & (bands["time"] == 24.0), "value"] *= 100
    linear, log = draw_bands(protocol, "anc", spiked)
    tops = [axes.get_ylim()[1] for axes in linear.figure.axes]
    assert tops[0] > 20 * max(tops[1:])
    assert "Each panel has a scale of its own." in linear.caption
    assert "scale of its own" not in log.caption


def test_a_histogram_of_one_value_does_not_flatten_the_others(protocol):
    edges = np.linspace(0.0, 3.0, 31)
    flat, spike = np.full(30, 1 / 30), np.eye(30)[0]
    bars = [Bars("d60", edges, spike), Bars("d75", edges, flat)]
    drawing = draw_distribution(protocol, "nadir", "1e9/L", bars)
    tops = [axes.get_ylim()[1] for axes in drawing.figure.axes]
    assert tops[0] > 10 * tops[1]
    assert "Each panel has a scale of its own." in drawing.caption


def test_logarithms_are_drawn_only_where_nothing_is_negative(protocol, estimates):
    bands = estimates.bands[estimates.bands["output"] == "anc"]
    assert len(list(draw_bands(protocol, "anc", bands))) == 2
    lower = bands.assign(value=bands["value"] - 3.0)
    assert [one.scale for one in draw_bands(protocol, "anc", lower)] == [""]


def test_more_than_eight_arms_have_a_panel_each(dosed, full):
    names = [f"d{10 * place}" for place in range(1, 12)]
    one = full.curves[full.curves["arm"] == "d60"]
    curves = pd.concat([one.assign(arm=name) for name in names])
    arms = tuple(replace(dosed.arms[0], name=name, title=name) for name in names)
    many = altered(dosed, arms=arms, comparisons=(), published=())
    drawing = draw_survival(many, "recovery", curves)
    panels = [axes for axes in drawing.figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in panels] == names
    titled = [axes.get_title("left") for axes in panels if axes.get_xlabel()]
    assert sorted(titled) == ["d100", "d110"]
    together = draw_survival(dosed, "recovery", full.curves)
    assert len(together.figure.axes) == 2


def test_curves_can_be_read_off_the_page(protocol, estimates, tmp_path):
    bands = estimates.bands[estimates.bands["output"] == "anc"]
    drawing = next(draw_bands(protocol, "anc", bands))
    svg = keep(drawing, tmp_path)
    told = json.loads(read_off(drawing))
    assert told["units"] == ["days", "10⁹/L"]
    panels = svg.split('<g class="axes">')[1:]
    assert len(told["panels"]) == len(panels) == 3
    for place, (panel, corners) in enumerate(zip(panels, told["panels"], strict=True)):
        left, foot, right, top, x0, x1, y0, y1, log = corners
        assert not log
        line = panel.split(f'<g class="a{place} line">')[1]
        path = re.search(r' d="([^"]+)"', line)[1]
        points = [
            (float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path)
        ]
        x, y = map(np.array, zip(*points, strict=True))
        days = x0 + (x - left) / (right - left) * (x1 - x0)
        values = y0 + (y - foot) / (top - foot) * (y1 - y0)
        arm = protocol.arms[place].name
        middle = bands[(bands["arm"] == arm) & (bands["quantile"] == 0.5)]
        expected = np.interp(days, middle["time"] / 24, middle["value"])
        np.testing.assert_allclose(values, expected, atol=0.02)
        assert f'<g class="a{place} band">' in panel


def test_coordinates_are_short_and_numbers_in_texts_whole(tmp_path):
    rows = [Row("a value of 0.123456", "1.234567", 0.5)]
    drawing = Drawing("x", "x", "x", "", draw_rows(rows, Frame("v")), pd.DataFrame())
    svg = keep(drawing, tmp_path)
    assert "a value of 0.123456" in svg
    assert "1.234567" in svg
    for path in re.findall(r' d="([^"]+)"', svg):
        assert not re.search(r"\.\d{3,}", path)
