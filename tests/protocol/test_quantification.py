"""The word `below quantification` of an endpoint."""

import pytest

import vtrial as vt
from vtrial.errors import ProtocolError

MODEL = """
model: injected
source: [{note: made up}]
parameters:
  CL: {value: 20, unit: L/h}
  V: {value: 40, unit: L}
equations: |
  d/dt(central) = -CL/V*central
  conc = central/V
  free = 0.1*conc
outputs:
  conc: {unit: mg/L, error: {proportional: 0.1 %}, lloq: 0.1}
  free: {unit: mg/L}
"""
COHORT = "cohort: anybody\ncovariates:\n  WT: {unit: kg, constant: 70}\n"
PROTOCOL = """
protocol: injected
model: injected.yaml
cohort: anybody.yaml
subjects: 20
arms: {one: {dose: 400 mg}}
visits:
  profile:
    at: 0 h, 0.5 h, 1 h, 2 h, 4 h, 6 h, 8 h, 12 h, 16 h, 24 h
    measure: [conc, free]
    after dose: true
endpoints:
  last: {of: conc, take: AUC last}
  infinity: {of: conc, take: AUC infinity}
  half-life: {of: conc, take: half-life}
  mrt: {of: conc, take: mean residence time}
  peak: {of: conc, take: maximum}
"""


@pytest.fixture
def load(tmp_path):
    (tmp_path / "injected.yaml").write_text(MODEL)
    (tmp_path / "anybody.yaml").write_text(COHORT)

    def load(old="", new=""):
        assert old in PROTOCOL
        path = tmp_path / "trial.yaml"
        path.write_text(PROTOCOL.replace(old, new, 1) if old else PROTOCOL)
        return vt.load_protocol(path)

    return load


def test_rules_left_out_depend_on_what_is_taken(load):
    found = {p.name: p.below_quantification for p in load().endpoints}
    assert found["last"] == "zero before first"
    assert found["peak"] == "LLOQ/2"
    assert all(point.lloq == 0.1 for point in load().endpoints)


def test_a_rule_is_chosen_by_name(load):
    last = load("take: AUC last", "take: AUC last, below quantification: LLOQ/2 once")
    assert last.endpoint("last").below_quantification == "LLOQ/2 once"
    assert last.digest != load().digest


@pytest.mark.parametrize(
    ("new", "found", "write"),
    [
        ("take: AUC last, below quantification: M1", "`M1`", "drop"),
        ("take: AUC last, below quantification: m6", "`m6`", "LLOQ/2 once"),
        ("take: AUC last, below quantification: lloq/2", "`lloq/2`", "LLOQ/2"),
        ("take: AUC last, below quantification: M3", "a likelihood", ""),
        ("take: AUC last, below quantification: zeros", "`zeros`", ""),
        (
            "take: change, at: 24 h, below quantification: drop",
            "always takes half the limit",
            "",
        ),
        (
            "take: AUC last, values: true, below quantification: drop",
            "true values have no limit",
            "",
        ),
    ],
)
def test_a_rule_that_means_nothing_is_told(load, new, found, write):
    with pytest.raises(ProtocolError) as caught:
        load("take: AUC last", new)
    (fault,) = caught.value.faults
    assert fault.at == "endpoints.last.below quantification"
    assert found in fault.found
    assert fault.write == write
    assert fault.line == PROTOCOL[: PROTOCOL.index("  last:")].count("\n") + 1


def test_an_output_without_a_limit_has_no_rule(load):
    with pytest.raises(ProtocolError, match="`free` has no limit of quantification"):
        load("of: conc, take: AUC last", "of: free, take: area, below quantification: "
             "drop")  # fmt: skip


@pytest.mark.slow
def test_nca_below_quantification(load, tmp_path):
    """Ten values of 10 exp(-t/2) mg/L, the last two below the limit of 0.1 mg/L.

    The limits are ten times the error of 20 subjects with a residual error of 0.1 %.
    """
    protocol = load()
    record = vt.run(protocol, out=tmp_path / "run", workers=0)
    table = vt.evaluate(record.tree(), protocol).endpoints
    mean = table[table["statistic"] == "mean"].set_index("endpoint")["estimate"]
    assert mean["last"] == pytest.approx(19.634, abs=0.02)
    assert mean["infinity"] == pytest.approx(20.0, abs=0.02)
    assert mean["half-life"] == pytest.approx(1.3863, abs=0.001)
    assert mean["mrt"] == pytest.approx(2.0, abs=0.002)
