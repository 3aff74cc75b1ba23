"""Assurance of trials as they are: its parts, and the error of draws."""

import numpy as np
import pytest

import vtrial as vt
from tests.small_trial import COHORT, MODEL, PROTOCOL
from vtrial.analysis.assurance import Tried, assurance_of


@pytest.fixture
def protocol(tmp_path):
    for name, text in (("body", MODEL), ("folk", COHORT), ("small", PROTOCOL)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return vt.load_protocol(tmp_path / "small.yaml")


def test_parts_make_the_whole_and_draws_are_what_is_counted(protocol):
    effect = np.log(np.linspace(0.8, 1.8, 40))  # a ratio: works above 1, 32 of 40
    draw = np.arange(400) % 40
    power = np.where(effect > 0, 0.5 + 0.4 * (effect > np.log(1.4)), 0.1)
    shown = (draw + 7 * (np.arange(400) // 40)) % 10 < 10 * power[draw]
    tried = Tried(shown, draw, effect, shown[:50], float(np.log(1.2)))
    table = assurance_of(protocol, [tried]).set_index("measure")
    value = table["value"]
    works = value["share of draws where it works"]
    assert works == 32 / 40
    parts = works * value["power where it works"]
    parts += (1 - works) * value["power where it does not"]
    assert value["assurance"] == pytest.approx(parts) == pytest.approx(shown.mean())
    assert value["true effect, model's values"] == pytest.approx(1.2)
    each = np.bincount(draw, shown) / 10
    error = table["mc_error"]["assurance"]
    assert error == pytest.approx(each.std(ddof=1) / np.sqrt(40))
    quarters = table[table.index.str.startswith("power, true effect")]
    assert quarters.index[0] == "power, true effect 0.8 to 1.05"
    assert quarters["value"].mean() == pytest.approx(value["assurance"])
