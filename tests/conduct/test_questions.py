"""Questions of every kind, asked in a sheet and answered of its record."""

import numpy as np
import pytest

import vtrial as vt

MORE = """endpoints:
  peak: {of: conc, take: maximum, within: "24 h to 48 h"}
  change: {of: conc, take: change, at: 48 h, baseline: 25 h}
  exposed: {of: conc, take: maximum, within: "24 h to 48 h", above: 0.5}
  cleared: {of: conc, take: time to, high: 0.3}
  hits: {of: hazard, take: number of events}
analysis:
  - {compare: high with low, on: peak, by: ratio of geometric means, adjust: [WT],
     margin: {above: 0.8, below: 1.25}, name: alike}
  - {compare: high with low, on: peak, by: difference by ranks, strata: [FEMALE]}
  - {compare: high with low, on: change, by: MMRM, adjust: [baseline, WT],
     covariance: Toeplitz, freedom: Satterthwaite}
  - {compare: high with low, on: exposed, by: risk difference, strata: [FEMALE]}
  - {compare: high with low, on: exposed, by: risk ratio, interval: score}
  - {compare: high with low, on: exposed, by: odds ratio, where: WT > 70, name: heavy}
  - {compare: high with low, on: cleared, by: hazard ratio, adjust: [WT], ties: exact}
  - {compare: high with low, on: cleared, by: log-rank, weights: [0, 1]}
  - {compare: high with low, on: cleared, by: difference of restricted means,
     until: 40 h}
  - {compare: high with low, on: cleared, by: milestone difference, until: 36 h,
     margin: {above: -20 pp}}
  - {compare: high with low, on: hits, by: rate ratio}
  - compare: high with low
    on: [{on: cleared}, {on: peak, margin: 100 ug/L}]
    by: win ratio
    strata: [FEMALE]
multiplicity:
  of: [high with low on change, heavy]
  method: graph
  weights: {high with low on change: 1}
  transitions: {high with low on change: {heavy: 1}}
"""


@pytest.fixture
def asked(sheets):
    text = sheets.texts["small"]
    start, stop = text.index("endpoints:"), text.index("keep:")
    sheets.texts["small"] = text[:start] + MORE + text[stop:]
    sheets.change("small", "measurements: true", "measurements: false")
    sheets.change("small", "subjects: 30", "subjects: 60")
    sheets.change("small", '24 h x 2"}\n  high', '24 h x 2"}\n  high')
    sheets.change("body", "  effect = ", "  d/dt(risk) = 0.05*conc\n  effect = ")
    line = "  hazard: {equals: risk, unit: 1}\n"
    return sheets.change("body", "  effect: {unit: 1", f"{line}  effect: {{unit: 1")


@pytest.mark.slow
def test_every_question_has_an_answer(asked, tmp_path):
    protocol = asked.load()
    assert protocol.keep.measurements, "the mixed model needs them"
    record = vt.run(protocol, out=tmp_path / "record", workers=0)
    estimates = vt.evaluate(record.tree(), protocol)
    table = estimates.contrasts.set_index("comparison")
    assert len(table) == 12
    assert np.isfinite(table["estimate"]).all()
    assert (table["undefined"] == 0).all()
    assert table.loc["alike", "level"] == 0.9
    assert (table["ci_low"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["ci_high"]).all()
    units = dict(zip(table["by"], table["unit"], strict=True))
    assert units["difference by ranks"] == units["MMRM"] == "mg/L"
    assert units["difference of restricted means"] == "h"
    assert units["hazard ratio"] == units["milestone difference"] == "1"
    family = estimates.operating
    assert "any of the family" in set(family["comparison"])
    assert {"cleared"} == set(estimates.curves["endpoint"])
    assert set(estimates.explained["covariate"]) == {"FEMALE", "WT"}
    page = vt.render(estimates, protocol, tmp_path, attributes={}).read_text()
    for one in protocol.analysis.comparisons:
        assert one.by in page


@pytest.mark.parametrize(
    ("old", "new", "where", "write"),
    [
        ("on: hits, by: rate ratio", "on: hits, by: hazard ratio", "10.by", "rate"),
        ("by: log-rank", "by: risk ratio", "7.by", "hazard ratio"),
        ("where: WT > 70", "where: WEIGHT > 70", "5.where", "WT"),
        (
            "strata: [FEMALE]}\n  - {compare: high with low, on: change",
            "strata: [F]}\n  - {compare: high with low, on: change",
            "1.strata.0",
            "",
        ),
        ("until: 36 h,\n", "", "9.until", "until"),
        ("above: -20 pp", "above: x", "9.margin.above", ""),
        ("above: 0.8, below: 1.25", "above: 1.3, below: 1.25", "0.margin", "above"),
        ("by: win ratio", "by: hazard ratio", "11.on", "a list of endpoints"),
        ("{on: cleared}, ", "{on: cured}, ", "11.on.0.on", "cleared"),
        (
            "on: exposed, by: risk difference, strata: [FEMALE]",
            "on: exposed, by: risk difference, adjust: [WT]",
            "3.adjust",
            "difference of means",
        ),
        ("on: change, by: MMRM", "on: peak, by: MMRM", "2.by", ""),
        ("weights: [0, 1]", "weights: [0]", "7.weights", ""),
        ("weights: [0, 1]", "ties: exact", "7.ties", "by: hazard ratio"),
        ("ties: exact", "ties: Effron", "6.ties", "Efron"),
        (
            "by: ratio of geometric means, adjust: [WT]",
            "by: ratio of geometric means, strata: [FEMALE]",
            "0.strata",
            "by: difference by ranks",
        ),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(asked, old, new, where, write):
    asked.change("small", old, new)
    faults = asked.refused()
    assert f"analysis.{where}" in faults, faults
    fault = faults[f"analysis.{where}"]
    assert write.removeprefix("by: ") in f"{fault.write} {fault.allowed}"
    assert fault.line > 0


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("method: graph", "method: Holm", "multiplicity.weights"),
        ("change, heavy]", "change, heavier]", "multiplicity.of.1"),
        ("{heavy: 1}}", "{heavy: 1.5}}", "multiplicity.transitions"),
        ("{heavy: 1}}", "{light: 1}}", "multiplicity.transitions"),
        (
            "weights: {high with low on change: 1}",
            "weights: {}",
            "multiplicity.weights",
        ),
    ],
)
def test_families_that_cannot_be_are_refused(asked, old, new, where):
    asked.change("small", old, new)
    assert any(at.startswith(where) for at in asked.refused())
