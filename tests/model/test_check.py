"""Units through the equations: contradictions are warned of, nothing else is."""

import pytest

from vtrial.model.sheet import library, load_model, read_model
from vtrial.sheets.sheet import parse_sheet

HEAD = """\
model: x
time: {time}
covariates:
  WT: {{unit: kg, typical: 70}}
  AGE: {{unit: a, typical: 40}}
  FEMALE: {{values: [0, 1]}}
parameters:
  CL: {{value: 5, unit: L/h}}
  CLM: {{value: 5, unit: mL/min}}
  V: {{value: 50, unit: L}}
  KA: {{value: 1, unit: 1/h}}
  EC50: {{value: 1, unit: mg/L}}
  LOW: {{value: 1, unit: ug/L}}
  IC: {{value: 1, unit: umol/L}}
  BASE: {{value: 5, unit: 1e9/L}}
  HALF: {{value: 6, unit: h}}
  SHARE: {{value: 40, unit: "%"}}
  G: {{value: 2}}
  N: {{value: 2, unit: "1"}}
equations: |
"""
ALL = "  used = 0*(CL*CLM*V*KA*EC50*LOW*IC*BASE*HALF*SHARE*G*N*WT*AGE*FEMALE)\n"
BODY = "  d/dt(depot) = -KA*depot\n  d/dt(central) = KA*depot - CL/V*central\n"


def warnings(lines, output="central: {}", time="h"):
    text = HEAD.format(time=time) + ALL + BODY
    text += "".join(f"  {line}\n" for line in lines.split("\n") if line)
    model = read_model(parse_sheet(text + f"outputs:\n  {output}\n"))
    return [str(warning) for warning in model.warnings]


@pytest.mark.parametrize("name", library())
def test_no_library_model_is_warned_of(name):
    assert load_model(name).warnings == ()


@pytest.mark.parametrize(
    "lines",
    [
        "conc = central/V\ne = conc/(EC50 + conc)",
        "conc = central/V\ne = conc^G/(EC50^G + conc^G)",
        "a = CL*(WT/70)^0.75*(1 - 0.2*FEMALE)",
        "a = EC50 - 1.34",
        "a = exp(-KA*t) + 1/(1 + central/V/EC50)",
        "a = log(WT/70) + log(2)/HALF*t",
        "a = KA*HALF + G + N",
        "a = max(EC50, 0) + if(EC50 > 2, EC50, 0)",
        "a = 1 - SHARE/100",
        "a = IC*808/1000 + EC50",
        "a = sqrt(WT*WT) + WT",
        "a = WT^2/WT - WT",
        "ktr = 4/HALF\nd/dt(p) = ktr*p*(BASE/q)^G - ktr*p\nd/dt(q) = ktr*(p - q)\n"
        "init(p) = BASE\ninit(q) = BASE",
        "d/dt(e) = KA*(central/V - e)\na = e + EC50",
        "lag(depot) = HALF\nF(depot) = N\nduration(central) = HALF/2",
        "a = abs(-EC50) + min(EC50, 3) + mod(EC50, 2)",
        "a = N^N + 2^N",
    ],
)
def test_sound_equations_are_left_alone(lines):
    assert warnings(lines) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("a = CL + V", "`CL + V`, which adds L/h and L"),
        ("a = WT - AGE", "subtracts kg and a"),
        ("a = EC50 + LOW", "adds mg/L and ug/L"),
        ("a = EC50 + IC", "adds mg/L and umol/L"),
        ("a = EC50 < central", "compares mg/L and mg"),
        ("a = min(EC50, V)", "compares mg/L and L"),
        ("a = if(WT > 70, CL, V)", "chooses between L/h and L"),
        ("a = exp(CL)", "exp of `CL`, which is in L/h"),
        ("a = log(BASE)", "log of `BASE`, which is in 1e9/L"),
        ("a = 2^WT", "the exponent `WT` in kg"),
        ("a = SHARE + N", "adds %"),
        ("d/dt(e) = central/V\na = e + EC50", "adds"),
        ("a = CLM/V - CL/V", "subtracts"),
        ("lag(depot) = V", "lag(depot) in L, while it should be in h"),
        ("F(depot) = V", "F(depot) in L"),
        ("init(central) = EC50", "`central` in"),
    ],
)
def test_contradictions_name_the_line(lines, words):
    found = warnings(lines)
    assert len(found) == 1, found
    assert words in found[0]
    line = HEAD.count("\n") + 3 + lines.count("\n") + 1
    assert found[0].startswith(f"sheet:{line}:")


def test_clearance_in_another_unit_is_caught():
    text = HEAD.format(time="h") + ALL
    text += "  d/dt(central) = -CLM/V*central\noutputs: {central: {}}\n"
    (warning,) = read_model(parse_sheet(text)).warnings
    assert "`central`" in str(warning)


def test_time_of_the_sheet_counts():
    (warning, *_) = warnings("", time="d")
    assert "d/dt" in warning or "`depot`" in warning


def test_outputs_are_held_to_their_unit():
    assert warnings("conc = central/V", "conc: {unit: mg/L}") == []
    assert warnings("conc = central/V*1000/808", "conc: {unit: umol/L}") == []
    assert warnings("conc = central/V", "conc: {}") == []
    (dimension,) = warnings("conc = central", "conc: {unit: mg/L}")
    assert "declared in mg/L, while its equation gives mg" in dimension
    (size,) = warnings("conc = central/V", "conc: {unit: ng/L}")
    assert "declared in ng/L, while its equation gives mg/L" in size


def test_dose_free_models_have_no_amounts():
    text = (
        "model: x\nparameters: {KG: {value: 1, unit: 1/h}, B: {value: 9, unit: mm}}\n"
    )
    text += "equations: |\n  d/dt(size) = KG*size\n  init(size) = B\n"
    text += "outputs: {size: {unit: mm}}\n"
    assert read_model(parse_sheet(text)).warnings == ()
