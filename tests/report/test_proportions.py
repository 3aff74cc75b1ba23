"""What is 0 or 1 is drawn as a proportion, and categories have the cohort's words."""

import re

import numpy as np
import pandas as pd
import pytest

import vtrial as vt

MODEL = """
model: cure
parameters: {HALF: {value: 48, unit: h}}
random: [{of: HALF, variance: 0.25}]
equations: |
  at = HALF * exp(eta.HALF)
  cured = if(t >= at, 1, 0)
outputs:
  cured: {title: cure, unit: 1, error: {additive: 0}}
"""
COHORT = """
cohort: folk
covariates:
  SEX: {title: sex, categorical: {male: 52 %, female: 48 %}}
"""
PROTOCOL = """
protocol: cures
model: cure
cohort: folk
subjects: 200
replicates: 3
seed: 4
arms:
  slow: {}
  fast: {set: {HALF: HALF / 2}}
endpoints:
  cured: {of: cured, take: value, at: day 3, values: true, above: 0.5}
analysis:
  - {compare: fast with slow, on: cured, by: risk difference, where: SEX == male}
published:
  - {arm: slow, endpoint: cured, where: "female != SEX", value: 0.8, within: 0.2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cures")
    for name, text in (("cure", MODEL), ("folk", COHORT), ("cures", PROTOCOL)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def record(folder):
    return vt.run(
        vt.load_protocol(folder / "cures.yaml"), out=folder / "record", workers=0
    )


def test_what_is_on_or_off_is_drawn_as_a_proportion(record, folder):
    """The share cured by t is that of log-normal times, within four standard errors."""
    tree, protocol = record.tree(), vt.load_protocol(folder / "cures.yaml")
    estimates = vt.evaluate(tree, protocol)
    page = vt.render(estimates, protocol, folder / "report", attributes=tree.attrs)
    text = page.read_text()
    assert "[% of subjects]" in text.replace("\u00a0", " ")
    assert "on or off" not in text
    shown = pd.read_csv(page.parent / "tables" / "proportions.csv")
    day = shown[np.isclose(shown["time"], 48.0)].set_index("arm")["proportion"]
    assert day["slow"] == pytest.approx(0.5, abs=4 * 0.5 / 300**0.5)
    assert day["fast"] == pytest.approx(0.917, abs=4 * 0.28 / 300**0.5)  # Φ(ln 2 / 0.5)
    assert "fast with slow, cured, where male" in text
    shown = text.split("protocol: cures")[0]  # before the sheet as it was given
    assert "where female != SEX" in shown
    assert not re.search(r"SEX [=!]= \d", text)


def test_subjects_have_the_words_of_their_categories(record):
    table = record.subjects()
    codes = record.tree()["subjects/SEX"].values
    assert table["SEX"].tolist() == [["male", "female"][int(code)] for code in codes]


@pytest.mark.parametrize("where", ["SEX == mal", "mal == SEX", "not (SEX != mal)"])
def test_a_word_that_is_none_is_told_the_words(folder, where):
    text = PROTOCOL.replace("SEX == male", where)
    (folder / "wrong.yaml").write_text(text)
    with pytest.raises(vt.VtrialError) as caught:
        vt.load_protocol(folder / "wrong.yaml")
    (fault,) = caught.value.faults
    assert fault.at == "analysis.0.where"
    assert fault.allowed == "a word of `SEX`: male or female"
    assert fault.write == "male"
    assert (fault.line, text.splitlines()[fault.line - 1].count("where")) == (14, 1)
