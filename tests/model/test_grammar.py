"""The equation language: what it says, how it complains, and that it stays shut."""

import time

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vtrial.errors import ModelError
from vtrial.model.grammar import (
    MAX_STATES,
    check_names,
    parse_assignments,
    parse_expression,
    parse_leniently,
    parse_model,
    reserved_words,
    write_expression,
    write_statement,
)
from vtrial.model.tree import FUNCTIONS, evaluate

VALUES = {"x": 2.0, "y": 3.0, "WT": 70.0, "eta.CL": 0.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2*3", 7),
        ("-2^2", -4),
        ("2^-1", 0.5),
        ("2**3^2", 512),
        ("8 - 3 - 2", 3),
        ("16/4/2", 2),
        ("(WT/70)^0.75", 1),
        ("exp(eta.CL)", np.exp(0.5)),
        ("if(x < y and not (y == 3), 1, 2)", 2),
        ("x > y or x <= 2", 1),
        ("min(x, y, 1) + max(x, y)", 4),
        (".5e1 + 1e-3", 5.001),
        ("mod(7, 4) + floor(2.7) + ceil(0.2)", 6),
        ("+x - -y", 5),
        ("log1p(expm1(x))", 2),
        ("normal_cdf(0) + erf(0) + tanh(0)", 0.5),
        ("expit(logit(0.3))", 0.3),
        ("(x\n + y)", 5),
    ],
)
def test_expressions_mean_what_they_say(text, value):
    tree = parse_expression(text)
    values = {name: jnp.asarray(v) for name, v in VALUES.items()}
    np.testing.assert_allclose(evaluate(tree, values), value, rtol=1e-12)
    again = parse_expression(write_expression(tree))
    assert again == tree, "written and read back it is the same tree"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("1 +", (1, 4), "the end"),
        ("x ** * y", (1, 6), "`*`"),
        ("exp(1, 2)", (1, 1), "`exp` with 2 arguments"),
        ("expp(x)", (1, 1), "Write `exp`"),
        ("1 < x < 3", (1, 7), "a < b and b < c"),
        ("x = 1", (1, 1), "an assignment"),
        ("x\ny", (1, 1), "2 lines"),
        ("", (1, 1), "empty"),
        ("x.y", (1, 2), "`.`"),
        ("x['a']", (1, 2), "`[`"),
        ("__import__('os')", (1, 1), "`_`"),
        ("lambda: 0", (1, 7), "`:`"),
        ("x" * 65, (1, 1), "a very long name"),
        ("(" * 70 + "x" + ")" * 70, (1, 1), "brackets too deep"),
        ("+".join("x" * 300), (1, 1), "too long a chain"),
        ("-" * 100 + "x", (1, 1), "signs or powers too deep"),
        ("min(" + ",".join("x" * 40) + ")", (1, 1), "given 2 to 30"),
        ("x + " * 3000 + "x", (1, 1), "a very long line"),
        ("# only a comment", (1, 1), "empty"),
    ],
)
def test_errors_point_and_say(text, place, words):
    with pytest.raises(ModelError) as caught:
        parse_expression(text)
    fault = caught.value.faults[0]
    assert (fault.line, fault.column) == place
    assert words in str(fault)


def test_every_wrong_line_is_told():
    with pytest.raises(ModelError) as caught:
        parse_model("a = 1 +\nb = 2\nc == 3\nd/dt(x = 1\nexp = 3\nb = 4\n5\n")
    lines = [fault.line for fault in caught.value.faults]
    assert lines == [1, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("x = a b + * c - (d", [7, 11, 19]),
        ("x = a b + c & d", [7, 13]),
        ("y = max(a,, b) + 3 4", [11, 20]),
        ("z = a $ b + c d", [7, 15]),
        ("x = (a + b)) * c d", [12, 18]),
        ("x = 5 mg/L + 2 h", [7, 16]),
        ("x = if(a > 1 2, b && c, d)", [14, 19]),
        ("x = 1 +* 2 + (3", [8, 16]),
        ("x = a +", [8]),
        ("x = a * (b\n + c d\n) * * e", [6, 5]),
    ],
)
def test_all_that_is_wrong_in_an_equation_is_told(text, columns):
    """What has no remedy hides nothing behind it, and makes no other fault."""
    _, faults, _ = parse_leniently(text)
    assert [fault.column for fault in faults] == columns


def test_a_bracket_left_open_spoils_only_its_own_line():
    statements, faults, doubtful = parse_leniently("a = (1 + 2\nb = 3\nd/dt(x) = -x")
    assert [fault.line for fault in faults] == [1]
    assert [s.name for s in statements] == ["b", "x"]
    assert doubtful == {"a"}


def test_statements_go_on_while_a_bracket_is_open():
    (statement,) = parse_model("a = (1 # one\n  + 2 # two\n  )\n")
    assert write_statement(statement) == "a = 1 + 2"
    assert statement.line == 1


def test_kinds_of_statements_are_written_back():
    text = "\n".join(
        [
            "K = CL/V",
            "d/dt(depot) = -K*depot",
            "init(depot) = 3",
            "F(depot) = 0.5",
            "lag(depot) = 1",
            "rate(depot) = 2",
            "duration(depot) = 4",
        ]
    )
    statements = parse_model(text)
    assert "\n".join(map(write_statement, statements)) == text
    assert parse_model(text.replace("\n", "\r\n")) == statements


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = centrl", "Write `central`"),
        ("a = b\nb = 1", "used before it is assigned"),
        ("central = 1", "though `central` is a state"),
        ("CL = 1", "though `CL` is an input"),
        ("d/dt(CL) = 1", "such as `d/dt(CL_i) = ...`"),
        ("init(depot) = 1", "but `depot` is no state"),
        ("a = eta.KA", "{of: KA, variance: 0.09}"),
        ("a = eta.Cl", "Write `eta.CL`"),
    ],
)
def test_names_are_checked(text, words):
    statements = parse_model(f"d/dt(central) = -CL*central\n{text}")
    faults = check_names(statements, {"CL", "eta.CL"})
    assert words in "\n".join(map(str, faults))
    assert all(fault.line >= 2 for fault in faults)


def test_derivatives_may_look_at_later_lines():
    statements = parse_model("d/dt(x) = -K*x\nK = CL/V\ninit(x) = K")
    assert check_names(statements, {"CL", "V"}) == []


def test_only_assignments():
    assert len(parse_assignments("BMI = WT/HT^2\n")) == 1
    with pytest.raises(ModelError, match="an assignment"):
        parse_assignments("d/dt(x) = 1")


@pytest.mark.slow
def test_size_is_bounded():
    for text in ("a = 1\n" * 3000, "x" * 100_001):
        with pytest.raises(ModelError):
            parse_model(text)
    many = "\n".join(f"d/dt(x{i}) = 1" for i in range(MAX_STATES + 1))
    with pytest.raises(ModelError, match=f"at most {MAX_STATES}"):
        parse_model(many)


def test_words_of_the_language_are_no_names():
    assert {"t", "tad", "exp", "if", "eta", "not"} <= reserved_words()
    assert "lgamma'" not in reserved_words()


PIECES = st.sampled_from(
    [*FUNCTIONS, "x", "eta.", "eta.CL", "d/dt(", "init(", "F(", "(", ")", ",", "="]
    + ["\n", " ", "#", "1", "1e999", ".", "9^9", "^", "**", "__class__", "'", "[", "]"]
    + ["if(", "import os", "lambda", ";", "{", "\\", "\x00", "é", "\u2028", "\r", ":"]
)
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=60).map("".join))


@settings(max_examples=250, deadline=2000)
@given(TEXTS)
@example("9^9^9^9^9^9")
@example("d/dt(x) = x\nd/dt(x) = (((((")
@example("getattr(x, '__class__')")
@example("a = 1 if x else 2")
def test_no_text_does_anything_but_parse_or_complain(text):
    for parse in (parse_expression, parse_model, parse_assignments):
        begun, faults = time.process_time(), ()
        try:
            parse(text)
        except ModelError as error:
            faults = error.faults
        assert all(fault.line >= 1 and fault.found for fault in faults)
        assert time.process_time() - begun < 2


@settings(max_examples=100, deadline=2000)
@given(
    st.recursive(
        st.sampled_from(["x", "y", "2.5", "eta.CL", "-3", "1e-7"]),
        lambda inner: st.one_of(
            st.tuples(
                inner,
                st.sampled_from([" + ", " - ", "*", "/", "^", " < ", " and "]),
                inner,
            ).map(lambda parts: f"({parts[0]}){parts[1]}({parts[2]})"),
            inner.map(lambda a: f"-({a})"),
            inner.map(lambda a: f"not ({a})"),
            st.tuples(inner, inner).map(lambda p: f"if({p[0]}, {p[1]}, 1)"),
        ),
        max_leaves=12,
    )
)
def test_writing_and_reading_are_inverse(text):
    tree = parse_expression(text)
    assert parse_expression(write_expression(tree)) == tree
