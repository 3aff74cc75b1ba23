"""Ticks, events and classes in a sheet: what is read, and what is refused where."""

import pytest

import vtrial as vt
from vtrial.errors import ModelError
from vtrial.model.chance import Draw
from vtrial.model.description import describe, describe_data
from vtrial.model.grammar import write_expression

SHEET = """
model: made-up
time: d
parameters:
  a: {value: 4}
random:
  - {class: g, probabilities: [0.3, a/8, 0.2]}
equations: |
  init(x) = 2*a
  r = [0.1, 0.5, 0.9][g]
  y = r*x + count(failure) + last(failure)
  d/dt(A) = -0.1*x*A
  init(A) = 1
every 2 d: |
  u = uniform(u)
  x <- x + gamma(wear, a/4, 2)*u + normal(e)/t
  A <- A + r
events:
  failure: {when: "x >= 20 or not A < 3", recurrent: true, at most: 7, then: ["x <- 0"]}
  death: {hazard: 0.1*A}
outputs:
  y: {}
  x: {}
"""


def model_of(text=SHEET, **replaced):
    for old, new in replaced.values():
        assert old in text
        text = text.replace(old, new)
    return vt.load_model(text)


def told(*pair, text=SHEET):
    """Return the faults of a sheet in which something is replaced."""
    with pytest.raises(ModelError) as caught:
        model_of(text, one=pair)
    return caught.value.faults


def test_a_sheet_is_read():
    model = model_of()
    chance = model.chance
    assert (chance.every, chance.clock, chance.held) == (48.0, 24.0, ("x",))
    assert [s.place for s in chance.steps if isinstance(s, Draw)] == [
        "uniform(u)",
        "gamma(wear)",
        "normal(e)",
    ]
    failure, death = chance.events
    assert (failure.by, failure.recurrent, failure.most) == ("condition", True, 7)
    assert write_expression(failure.of) == "max(x - 20, -(3 - A))"
    assert (death.by, death.recurrent, death.most) == ("hazard", False, 50)
    assert write_expression(death.of) == "0.1*A/24", "a hazard is one per hour"
    update = next(s for s in chance.steps if s.name == "x")
    assert write_expression(update.expression).endswith("normal(e)/(t/24)")
    assert chance.names == (
        *("x", "count(failure)", "last(failure)", "count(death)", "last(death)"),
    )


def test_between_ticks_it_is_a_model_of_what_stands_still():
    within = model_of().within
    assert within.chance is None
    assert within.states == ("A", "gone(death)")
    assert {"x", "count(failure)"} < {c.name for c in within.covariates}
    assert [o.name for o in within.outputs] == ["y", "x", "gone(death)", "gap(failure)"]
    assert "y" in [s.name for s in within.structure.static]
    assert "y" not in [s.name for s in model_of().structure.static]


def test_a_tick_may_be_a_section_with_its_time_below():
    text = SHEET.replace("every 2 d: |", "every:\n 2 d: |")
    assert model_of(text).digest == model_of().digest


def test_what_is_left_to_chance_is_content():
    plain = model_of()
    assert plain != model_of(one=("gamma(wear, a/4, 2)", "gamma(wear, a/4, 3)"))
    assert plain != model_of(one=("at most: 7", "at most: 8"))
    assert plain != model_of(one=("time: d", "time: d\nunit: machine"))
    assert plain != model_of(one=("[0.3, a/8, 0.2]", "[0.2, a/8, 0.3]"))
    assert plain == model_of(one=("  u = uniform", "  # first\n  u = uniform"))


def test_classes_are_inputs_and_the_typical_is_the_likely():
    model = model_of()
    assert model.inputs == ("a", "g")
    assert model.typical()["g"] == 2
    assert float(model.individual(model.typical())["r"]) == 0.5


def test_what_was_read_is_described():
    text = describe(model_of())
    assert "Held states: x" in text
    assert "gamma(wear) is drawn, with a/4, 2" in text
    assert "g: 1 to 3, with probabilities 0.3, a/8, 0.2" in text
    assert "death: hazard 0.1*A/24 [1/h]" in text
    assert describe_data(model_of())["classes"] == {"g": 3}


@pytest.mark.parametrize(
    ("old", "new", "line", "found", "write"),
    [
        ("u = uniform(u)", "u = uniform(e)", 16, "a draw `e` again", "e2"),
        ("u = uniform(u)", "a <- uniform(u)", 15, "`a` is an input", ""),
        ("u = uniform(u)", "r <- uniform(u)", 15, "`r` is a variable", ""),
        ("u = uniform(u)", "x = uniform(u)", 15, "`x` is known already", ""),
        ("u = uniform(u)", "u = uniform(2)", 15, "`uniform` without a name", ""),
        ("u = uniform(u)", "u = uniform()", 15, "`uniform` with 0 arguments", ""),
        ("u = uniform(u)", "u = uniform(u)*B", 15, "`B`, an unknown name", ""),
        ("u = uniform(u)", "init(u) = uniform(u)", 15, "`init(u) = ...`", ""),
        ("u = uniform(u)", "u = uniform(u)\n  z <- u", 16, "`z`, which nothing", ""),
        ("gamma(wear, a/4, 2)", "gamma(wear, 2)", 16, "`gamma` with 2", ""),
        ("r*x + count", "normal(z) + count", 11, "`normal(`, a draw", ""),
        ("count(failure)", "count(failre)", 11, "`count(failre)`", "count(failure)"),
        ("count(failure)", "count(2)", 11, "`count(`, not of an event", ""),
        ("init(x) = 2*a", "init(x) = y", 8, "`y` in init(x)", ""),
        ("[0.1, 0.5, 0.9]", "[0.1, 0.5]", 10, "a table of 2", ""),
        ('"x >= 20 or', '"xx >= 20 or', 19, "`xx`, an unknown name", "x"),
        ('["x <- 0"]', '["xx <- 0"]', 19, "`xx` is no state", "x"),
        ('["x <- 0"]', '["x = 0"]', 19, "`x = ...`", ""),
        ('["x <- 0"]', '["x <- normal(q)"]', 19, "`normal(`, a draw", ""),
        ("{hazard: 0.1*A}", "{hazard: 0.1*A, when: A > 1}", 20, "of two causes", ""),
        ("{hazard: 0.1*A}", "{recurrent: true}", 20, "without a cause", ""),
        ("{hazard: 0.1*A}", "{hazard: 0.1*}", 20, "the end", ""),
        ("at most: 7", "at most: 0", 19, "`0`", ""),
        ("every 2 d", "every -2 d", 14, "`-2 d`", ""),
        ("every 2 d", "every tick", 14, "`tick`", ""),
        ("a/8, 0.2", "B/8, 0.2", 7, "`B`, an unknown name", ""),
        ("[0.3, a/8, 0.2]", "[0.3, 0.2]", 7, "probabilities that add up to 0.5", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old, new, line, found, write):
    fault = next((f for f in told(old, new) if found in f.found), None)
    assert fault is not None, [str(f) for f in told(old, new)]
    assert fault.line == line
    assert fault.allowed
    if write:
        assert fault.write == write


NOISE = """
model: made-up
time: d
step: 0.5 d
equations: |
  d/dt(x) = -x
  noise(x) = 0.3*(1 + x)
outputs:
  x: {}
"""


def test_noise_is_per_root_of_the_time():
    model = model_of(NOISE)
    assert (model.noisy, model.step) == (("x",), 12.0)
    found = model.noise(0.0, (1.0,), model.individual({}))
    assert float(found[0]) == pytest.approx(0.6 / 24**0.5)
    assert model.within.structure.nonnegative.states == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "found"),
    [
        ("step: 0.5 d\n", "", 1, "missing, though `x` has noise"),
        ("  noise(x) = 0.3*(1 + x)\n", "", 4, "given, though no state has noise"),
        ("noise(x)", "noise(y)", 7, "`y` is no state"),
        ("noise(x) = 0.3", "noise(x) = 0.3*z", 7, "`z`, an unknown name"),
        ("0.5 d", "-1 d", 4, "-1 d"),
        ("= -x", "= -lag(x, 2)", 6, "`lag(`, a state's past"),
    ],
)
def test_noise_that_cannot_be_is_refused(old, new, line, found):
    faults = told(old, new, text=NOISE)
    assert any(found in f.found and f.line in (line, line - 1) for f in faults), faults


def test_ticks_stand_once():
    text = SHEET + "every 3 d: |\n  x <- 0\n"
    assert any("given again" in f.found for f in told("y: {}", "y: {}", text=text))
