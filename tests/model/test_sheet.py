"""Sheets: what is read, and every fault at once, each with line and remedy."""

import json
import math
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.errors import ModelError, SheetError, VtrialError
from vtrial.model.grammar import write_statement
from vtrial.model.sheet import (
    LIBRARY,
    library,
    load_model,
    model_schema,
    read_model,
)
from vtrial.sheets.sheet import parse_sheet, read_sheet

GOOD = """\
model: mine
title: A model of mine
source:
  - {cite: "Somebody. Journal 2020;1:1", doi: 10.1000/182}
time: h
amount: mg
covariates:
  WT: {title: body weight, unit: kg, typical: 70}
  FEMALE: {values: [0, 1]}
parameters:
  tvKA: {value: 1.0, unit: 1/h, rse: 20 %}
  tvCL: {value: 5.0, unit: L/h, se: 0.4, source: {note: a guess}}
  tvV: {value: 50, unit: L}
  BETA: {value: -0.5, unit: "1", se: 0.1}
random:
  - {of: KA, cv: 50 %}
  - {of: [CL, V], covariance: [[0.09], [0.03, 0.0625]]}
  - {of: CLO, sd: 0.1, level: occasion}
equations: |
  KA = tvKA * exp(eta.KA)
  CL = tvCL * (WT/70)^0.75 * exp(eta.CL + eta.CLO + BETA*FEMALE)
  V  = tvV * (WT/70) * exp(eta.V)

  d/dt(depot)   = -KA * depot
  d/dt(central) = KA * depot - CL/V * central
  conc = central / V
outputs:
  conc: {unit: mg/L, error: {proportional: 15 %, additive: 0.1}, lloq: 0.05}
  amount: {equals: central, unit: mg, error: {log: 0.2}}
nonnegative: [central]
"""


def load(text):
    return read_model(parse_sheet(text, source="mine.yaml"))


def faults(text):
    with pytest.raises(ModelError) as caught:
        load(text)
    return caught.value.faults


def changed(*pairs):
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_a_sheet_becomes_a_model():
    model = load(GOOD)
    assert model.states == ("depot", "central")
    assert model.etas == ("eta.KA", "eta.CL", "eta.V", "eta.CLO")
    assert model.inputs[:3] == ("tvKA", "tvCL", "tvV")
    ka, cl, v, beta = model.parameters
    assert (ka.error, ka.scale) == (0.2, "log")
    assert (cl.error, cl.source.note) == (0.4, "a guess")
    assert (v.value, v.error) == (50.0, 0.0)
    assert (beta.error, beta.scale) == (0.1, "identity")
    assert model.random[0].covariance == ((pytest.approx(math.log(1.25)),),)
    assert model.random[1].covariance == ((0.09, 0.03), (0.03, 0.0625))
    assert model.random[2].level == "occasion"
    assert model.covariates[1].values == (0.0, 1.0)
    assert model.covariates[1].typical == 0.0, "the first code"
    conc, amount = model.outputs
    assert (conc.error.proportional, conc.error.additive, conc.lloq) == (
        0.15,
        0.1,
        0.05,
    )
    assert (amount.equals, amount.error.log) == ("central", 0.2)
    assert model.sources[0].doi == "10.1000/182"
    assert model.nonnegative == ("central",)
    assert model.warnings == ()
    assert model.text == GOOD
    assert model.population == ()


def test_digest_counts_content_and_not_comments():
    plain = load(GOOD)
    assert load(GOOD.replace("  KA = tvKA", "  # why\n  KA  =  tvKA")) == plain
    assert hash(load(GOOD)) == hash(plain)
    assert load(changed(("tvV: {value: 50,", "tvV: {value: 51,"))) != plain


def test_every_mistake_gets_a_message_with_its_line():
    text = changed(
        ("title: A model", "titel: A model"),
        ("doi: 10.1000/182", "doi: abc"),
        ("unit: kg,", "unit: kgg,"),
        ("tvKA: {value: 1.0", "tvKA: {value: one"),
        ("tvV: {value: 50, unit: L}", "tvV: 50"),
        ("cv: 50 %", "cv: 50"),
        ("[0.03, 0.0625]", "[0.3, 0.0625]"),
        ("exp(eta.V)", "exp(eta.VV)"),
        ("KA * depot - CL/V", "KA * dept - CL/V"),
        ("conc = central / V", "conc = central / / V"),
        ("proportional: 15 %", "proportionl: 15 %"),
        ("nonnegative: [central]", "nonnegative: [centrl]"),
    )
    found = faults(text)
    said = {(fault.line, fault.at): str(fault) for fault in found}
    lines = [fault.line for fault in found]
    assert lines == sorted(lines), "in the order of the sheet"
    wanted = {
        (2, "titel"): "Write `title`",
        (4, "source.0.doi"): "`abc`",
        (8, "covariates.WT.unit"): "a unit such as kg",
        (11, "parameters.tvKA.value"): "must be a number",
        (13, "parameters.tvV"): "must be a map of the keys value, unit",
        (16, "random.0.cv"): "Write `50 %`",
        (17, "random.1"): "not positive semi-definite",
        (17, "random.1.of"): "`V`, a random effect that the equations never use",
        (22, "equations"): "Write `eta.V`",
        (25, "equations"): "Write `depot`",
        (26, "equations"): "`/`",
        (28, "outputs.conc.error.proportionl"): "Write `proportional`",
        (30, "nonnegative.0"): "Write `central`",
    }
    for place, words in wanted.items():
        assert words in said[place], place
    assert len(found) == len(wanted)
    assert all(str(fault).startswith("mine.yaml:") for fault in found)


def test_columns_point_into_the_block():
    (fault,) = faults(changed(("-KA * depot\n", "-KA * dept\n")))
    line = GOOD.replace("-KA * depot\n", "-KA * dept\n").splitlines()[fault.line - 1]
    assert line[fault.column - 1 :].startswith("dept")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("model: mine\n", "", "model is missing"),
        ("time: h", "time: month", "a unit of time"),
        ("amount: mg\n", "amount: milligrams\n", "Write `mg`"),
        ("rse: 20 %", "rse: 20 %, se: 1", "given both rse and se"),
        ("rse: 20 %", "rse: twenty", "a share, such as 8 %"),
        ("rse: 20 %", "rse: 20 mg", "a share, such as 8 %"),
        ("rse: 20 %", "rse: -3 %", "0 or more"),
        ("value: 50,", "value: .inf,", "a finite number"),
        ("value: 50,", "value: true,", "must be a number"),
        ("se: 0.1}", "se: 0.1, scale: log}", "Write `identity`"),
        ("se: 0.1}", "se: -0.1}", "0 or more"),
        ("  WT: {", "  tvV: {", "a parameter, too"),
        ("  BETA: {value: -0.5", "  exp: {value: -0.5", "a word of the equations"),
        ("  BETA: {value: -0.5", "  be-ta: {value: -0.5", "letters, digits and _"),
        ("typical: 70}", "typical: 70, values: [50, 60]}", "one of the values 50"),
        ("cv: 50 %", "cv: 50 %, sd: 1", "given by one of variance, sd, cv"),
        ("cv: 50 %", "source: {note: x}", "given by one of variance, sd, cv"),
        ("cv: 50 %", "variance: [0.1, 0.2]", "1 long, one for each of KA"),
        ("{of: KA,", "{of: [KA, KA],", "each once"),
        ("{of: KA,", "{of: CLO,", "in one row"),
        (
            "[[0.09], [0.03, 0.0625]]",
            "[[0.09, 0.03], [0.03, 0.0625]]",
            "lower triangle",
        ),
        (
            "[[0.09], [0.03, 0.0625]]",
            "[[0], [0.03, 0.0625]]",
            "not positive semi-definite",
        ),
        ("[[0.09], [0.03, 0.0625]]", "[[0.09]]", "2 long"),
        ("source: {note: a guess}", "source: {}", "at least one of cite"),
        ("source: {note: a guess}", "source: {url: www.x.org}", "an address"),
        ("log: 0.2", "log: 0.2, additive: 1", "log alone"),
        ("lloq: 0.05", "lloq: -1", "above 0"),
        ("equals: central", "equals: cental", "Write `central`"),
        ("level: occasion", "level: visit", "`subject` or `occasion`"),
        ("conc = central / V", "init(central) = depot", "which moves"),
        ("conc = central / V", "lag(central) = t", "which moves"),
        ("conc = central / V", "rate(depo) = 1", "Write `depot`"),
        ("conc = central / V", "conc = (central / V", "equations is the end"),
        ("equations: |\n  KA =", "equations: >\n  KA =", "equations"),
    ],
)
def test_one_mistake_is_said_plainly(old, new, words):
    found = faults(changed((old, new)))
    assert any(words in str(fault) for fault in found), "\n".join(map(str, found))
    assert all(fault.line for fault in found)
    assert not any("pydantic" in str(f) or "Shape" in str(f) for f in found)


def test_missing_sections_are_said():
    said = "\n".join(map(str, faults("model: mine\n")))
    assert "equations is missing" in said
    assert "outputs is missing" in said
    said = "\n".join(map(str, faults("model: mine\nequations: ''\noutputs: {}\n")))
    assert "equations is empty" in said
    assert "one output or more" in said
    said = "\n".join(map(str, faults("model: [1]\nrandom: 3\nparameters: x\n")))
    assert "random is `3`" in said
    assert "a map of names, each with the keys value" in said


def test_empty_sections_are_left_out():
    text = GOOD + "uncertainty:\n"
    assert load(text) == load(GOOD)
    assert "model is missing" in str(faults(GOOD.replace("model: mine", "model:"))[0])


def test_unused_inputs_are_warned_of():
    model = load(changed(("  BETA:", "  LOST: {value: 3}\n  BETA:")))
    (warning,) = model.warnings
    assert (warning.line, warning.at) == (14, "parameters.LOST")
    assert "never used" in warning.found


def test_joint_uncertainty():
    joint = """\
uncertainty:
  - {of: [tvV, tvKA], covariance: [[0.01], [0.002, 0.04]]}
  - {of: BETA, covariance: [[0.01]], scale: identity}
"""
    text = changed((", rse: 20 %", ""), (", se: 0.1", "")) + joint
    model = load(text)
    ka, cl, v, beta = model.parameters
    assert (ka.error, v.error, beta.error) == (
        pytest.approx(0.2),
        pytest.approx(5.0),
        pytest.approx(0.1),
    )
    rows = model.population
    assert rows[0] == (0.04, 0.0, 0.002, 0.0)
    assert rows[1][1] == pytest.approx((0.4 / 5) ** 2), "on the log scale"
    assert rows[3][3] == 0.01
    assert cl.scale == "log"
    for old, new, words in (
        ("[tvV, tvKA]", "[tvV, tvCL]", "its own rse or se"),
        ("[tvV, tvKA]", "[tvV, tvZ]", "no parameter"),
        ("[tvV, tvKA]", "[tvV, BETA]", "on the log scale"),
        ("of: BETA", "of: tvV", "in one row"),
        ("0.002", "0.2", "not positive semi-definite"),
        ("[0.002, 0.04]", "[0.002]", "lower triangle"),
    ):
        said = "\n".join(map(str, faults(text.replace(old, new))))
        assert words in said


@pytest.mark.parametrize(
    ("row", "variance"),
    [
        ("cv: 30 %", math.log(1.09)),
        ("cv: 0.3", math.log(1.09)),
        ("cv: 30 %, convention: cv^2", 0.09),
        ("sd: 0.3", 0.09),
        ("variance: 0.09", 0.09),
        ("covariance: [[0.09]]", 0.09),
        *((f"{size}: 0", 0.0) for size in ("cv", "sd", "variance")),
        ("cv: 0 %", 0.0),
        ("covariance: [[0]]", 0.0),
    ],
)
def test_sizes_of_random_effects(row, variance):
    model = load(changed(("cv: 50 %", row)))
    assert model.random[0].covariance[0][0] == pytest.approx(variance)


def test_correlated_sizes():
    row = "sd: [0.3, 0.2], correlation: [[1], [0.5, 1]]"
    model = load(changed(("covariance: [[0.09], [0.03, 0.0625]]", row)))
    assert model.random[1].covariance[1] == (pytest.approx(0.03), pytest.approx(0.04))
    assert "between -1 and 1" in str(
        faults(
            changed(("covariance: [[0.09], [0.03, 0.0625]]", row.replace("0.5", "2")))
        )
    )


def test_time_of_the_sheet_becomes_hours():
    text = changed(
        ("time: h", "time: d"),
        ("unit: 1/h", "unit: 1/d"),
        ("unit: L/h", "unit: L/d"),
        (
            "  conc = central / V\n",
            "  conc = central / V + 0*t + 0*tad\n  lag(depot) = 0.5\n"
            "  duration(central) = 2\n  rate(depot) = 24\n",
        ),
    )
    model = load(text)
    lines = [write_statement(s) for s in model.statements]
    assert "d/dt(depot) = -KA*depot/24" in lines
    assert "conc = central/V + 0*(t/24) + 0*(tad/24)" in lines
    assert "lag(depot) = 0.5*24" in lines
    assert "duration(central) = 2*24" in lines
    assert "rate(depot) = 24/24" in lines
    assert model.time == "d"
    assert model.structure.compartments is not None
    assert model.warnings == ()


def test_models_are_found_by_name_and_beside(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text(GOOD)
    assert load_model("mine", beside=tmp_path / "trial.yaml").name == "mine"
    assert load_model(tmp_path / "mine.yaml").name == "mine"
    monkeypatch.chdir(tmp_path)
    assert load_model("mine").name == "mine"
    with pytest.raises(ModelError, match="Write `theophylline`"):
        load_model("theophyline")
    for strange in ("../secret", "x" * 5000, "a\x00b", ""):
        with pytest.raises(ModelError, match="no name of the library"):
            load_model(strange)
    (tmp_path / "broken.yaml").write_text("model: [1\n")
    with pytest.raises(SheetError, match="not YAML"):
        load_model("broken")


def test_template_loads():
    text = Path("vtrial/cli/templates/model.yaml")
    template = Path(__file__).parents[2] / text
    assert load(template.read_text().replace("MY-NAME", "x")).warnings == ()


def test_schema_is_json_and_knows_the_keys():
    schema = json.loads(json.dumps(model_schema()))
    assert {"model", "parameters", "equations"} <= set(schema["else"]["properties"])
    assert {"model", "arrivals", "stations"} <= set(schema["then"]["properties"])
    for key in ("then", "else"):
        assert schema[key]["additionalProperties"] is False


@pytest.mark.parametrize("name", library())
def test_schema_accepts_the_library(name):
    schema = jsonschema.Draft202012Validator(model_schema())
    sheet = read_sheet(LIBRARY / f"{name}.yaml")
    assert list(schema.iter_errors(sheet.data)) == []
    wrong = sheet.data | {"equation": "x"}
    assert len(list(schema.iter_errors(wrong))) == 1


VALUE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(),
        st.sampled_from(["x", "eta.x", "1 %", "mg", "log", "d/dt(x) = x", "10.1/x"]),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["of", "value", "unit", "cv", "covariance", "values", "error", "x"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
KEYS = ["model", "title", "source", "time", "covariates", "parameters", "random"]
KEYS += ["uncertainty", "equations", "outputs", "nonnegative", "amount", "strange"]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUE, min_size=1))
@pytest.mark.slow
def test_no_sheet_raises_anything_else(data):
    text = "\n".join(f"{key}: {json.dumps(value)}" for key, value in data.items())
    outcome = ""
    try:
        outcome = load(text.replace("Infinity", ".inf").replace("NaN", ".nan")).name
    except VtrialError as error:
        outcome = str(error)
    assert isinstance(outcome, str)
