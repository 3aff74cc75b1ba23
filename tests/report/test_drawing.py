"""Figures: colours that everybody can tell apart, ids that do not collide, no trace."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from vtrial.report.drawing import (
    ARM_COLOURS,
    Drawing,
    house_style,
    inline,
    keep,
    log_axis,
    new_figure,
    time_axis,
)
from vtrial.report.timing import Timing

# Machado, Oliveira and Fernandes (2009), IEEE Trans. Vis. Comput. Graph. 15:1291,
# severity 1, linear RGB.
SIGHT = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def linear(colour):
    value = np.asarray(to_rgb(colour))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* (D65) of linear RGB."""
    to_xyz = [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
    x, y, z = np.cbrt(np.array(to_xyz) @ rgb / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHT)
def test_arms_are_told_apart_by_everybody(sight):
    seen = [lab(np.clip(SIGHT[sight] @ linear(c), 0, 1)) for c in ARM_COLOURS]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 20


@pytest.mark.parametrize("colour", ARM_COLOURS)
def test_arm_colours_are_dark_enough_for_text(colour):
    luminance = linear(colour) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) > 4.5


def drawn(name):
    figure = new_figure(2.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], "o-", color=ARM_COLOURS[1])
    axes.set_title("a $x$ <b>")
    return Drawing(name, "T <i>", "seen & said", "", figure, pd.DataFrame({"x": [1]}))


def test_figures_in_a_page_share_no_id_and_follow_its_colours(tmp_path):
    with house_style():
        pages = [keep(drawn(name), tmp_path, png=True) for name in ("one", "two")]
    ids = [set(re.findall(r'\sid="([^"]+)"', page)) for page in pages]
    assert not ids[0] & ids[1]
    for page, known in zip(pages, ids, strict=True):
        assert set(re.findall(r'href="#([^"]+)"', page)) <= known
        assert set(re.findall(r"url\(#([^)]+)\)", page)) <= known
        assert "var(--arm-1)" in page
        assert ARM_COLOURS[1] not in page
        assert "T &lt;i&gt;" in page
        assert "a $x$ &lt;b&gt;" in page
        assert "http" not in page
    assert "<svg" in (tmp_path / "one.svg").read_text()
    assert (tmp_path / "one.csv").read_text() == "x\n1\n"
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"
    with house_style():
        keep(drawn("one"), tmp_path)
    assert not (tmp_path / "one.png").exists()  # an earlier report's


def test_inlining_keeps_the_box():
    svg = '<?xml?><svg width="1pt" viewBox="0 0 1 2"><g id="a"/></svg>'
    page = inline(svg, Drawing("n", "t", "d", "", new_figure(1.0), pd.DataFrame()))
    assert page.startswith('<svg viewBox="0 0 1 2" role="img"')
    assert '<g id="n-a"/>' in page


def test_axes_of_time_and_logarithm():
    with house_style():
        axes = new_figure(2.0).add_subplot()
        scale = time_axis(axes, 0.0, 504.0, Timing())
        assert scale.name == "days"
        assert axes.get_xlabel() == "Time since the first dose [days]"
        timing = Timing("wk", "the start")
        assert time_axis(axes, 0.0, 504.0, timing).name == "weeks"
        assert axes.get_xlabel() == "Time since the start [weeks]"
        time_axis(axes, 0.0, 504.0, Timing("d"))
        assert axes.get_xlim() == (0.0, 21.0)
        log_axis(axes, 0.004, 120.0)
        ticks = axes.get_yticks()
    assert {0.01, 0.1, 1.0, 10.0, 100.0} <= set(np.round(ticks, 6))
