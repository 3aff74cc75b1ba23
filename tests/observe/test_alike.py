"""Arms that differ in amounts alone share a shape, and lose nothing by it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.small_trial import Sheets
from vtrial.dosing.expansion import expand
from vtrial.model.tree import evaluate
from vtrial.observe.alike import shape_of

SAME = [
    ('dose: "50 mg every 24 h x 2"', 'dose: "75 mg every 24 h x 2"'),
    ('dose: "2 mg/kg every 24 h x 2"', 'dose: "3 mg/kg every 24 h x 2"'),
    ('dose: "2 mg over 1 h"', 'dose: "0.1 mg over 1 h"'),
    ('dose: "5 mg then 10 mg every 24 h x 2"',) * 2,
    ("set: {tvCL: 4}", "set: {tvCL: 6}"),
    ("set: {tvCL: 2 * tvV}", "set: {tvCL: 3 * tvV}"),
    ('dose: "50 mg", set: {WT: 80}', 'dose: "60 mg", title: More, set: {WT: 90}'),
]
OTHER = [
    ('dose: "50 mg every 24 h x 2"', 'dose: "50 mg every 12 h x 2"'),
    ('dose: "50 mg every 24 h x 2"', 'dose: "50 mg every 24 h x 3"'),
    ('dose: "50 mg over 1 h"', 'dose: "50 mg over 2 h"'),
    ('dose: "50 mg"', 'dose: "50 mg/kg"'),
    ('dose: "50 mg"', 'dose: "50 mg into central"'),
    ("set: {tvCL: 4}", "set: {tvV: 4}"),
    ("set: {tvCL: tvV^2}", "set: {tvCL: tvV^3}"),
    ('dose: "50 mg"', "set: {tvCL: 4}"),
]


def arms(folder, *words):
    sheets = Sheets(folder)
    for name, said in zip(("low", "high"), words, strict=True):
        old = '"50 mg every 24 h x 2"' if name == "low" else '"2 mg/kg every 24 h x 2"'
        sheets.change("small", f"{name}: {{dose: {old}}}", f"{name}: {{{said}}}")
    return sheets.load().arms


@pytest.mark.parametrize("words", SAME)
def test_arms_that_differ_in_amounts_share_a_shape(tmp_path, words):
    low, high = map(shape_of, arms(tmp_path, *words))
    assert low.arm == high.arm
    assert (low.numbers == high.numbers) == (words[0] == words[1])


@pytest.mark.parametrize("words", OTHER)
def test_arms_that_differ_otherwise_do_not(tmp_path, words):
    low, high = map(shape_of, arms(tmp_path, *words))
    assert low.arm != high.arm


@pytest.mark.parametrize("words", SAME)
def test_a_shape_and_its_numbers_are_the_arm(tmp_path, words):
    """To the last bit, for subjects of different weights."""
    known = {name: jnp.linspace(1.5, 90.0, 7) for name in ("WT", "tvV", "tvCL")}
    for arm in arms(tmp_path, *words):
        shape = shape_of(arm)
        given = {name: number.reshape(()) for name, number in shape.values().items()}
        for (target, ours), (name, theirs) in zip(shape.arm.set, arm.set, strict=True):
            assert target == name
            found = jax.jit(lambda more, e=ours: evaluate(e, known | more))(given)
            assert np.array_equal(found, evaluate(theirs, known))
        made = jax.jit(lambda more, a=shape.arm: expand(a.regimen, known | more))
        found = jax.tree.leaves(made(shape.values()))
        held = jax.tree.leaves(expand(arm.regimen, known))
        assert all(map(np.array_equal, found, held))
        assert len(found) == len(held)


RULES = """
rules:
  down: {when: conc > 2, do: reduce by 20 %, floor: 10 mg}
  up: {when: "days below(conc, 1) > 3", do: increase one step, ladder: "25, 50 mg"}
  more: {when: last(conc) < 0.5, do: give 20 mg}
  wait: {when: conc > 3 and cycle > 1, do: hold for 24 h}
"""
DATA = [
    ("conc > 2,", "conc > 2.5,"),
    ("20 %", "30 %"),
    ("10 mg", "5 mg"),
    ("conc, 1)", "conc, 0.8)"),
    ("1) > 3", "1) > 2"),
    ('"25, 50 mg"', '"20, 40 mg"'),
    ("give 20 mg", "give 30 mg"),
    ("for 24 h", "for 48 h"),
]
STRUCTURE = [
    ("conc > 2,", "conc < 2,"),
    ('"25, 50 mg"', '"25, 50, 75 mg"'),
    ("conc > 3", "conc > 4"),  # beside what the plan decides by
    ("cycle > 1", "cycle > 0"),
    ("give 20 mg", "give 20 mg over 1 h"),
]


def ruled(folder, old="", new=""):
    """Return an arm with rules, one word of which is another one."""
    assert old in RULES, "the rules say so"
    sheets = Sheets(folder)
    sheets.texts["small"] += RULES.replace(old, new)
    return sheets.load().arms[0]


@pytest.mark.parametrize("words", DATA)
def test_rules_that_differ_in_numbers_share_a_shape(tmp_path, words):
    one, other = shape_of(ruled(tmp_path)), shape_of(ruled(tmp_path, *words))
    assert one.arm == other.arm
    assert one.numbers != other.numbers


@pytest.mark.parametrize("words", STRUCTURE)
def test_rules_that_differ_otherwise_do_not(tmp_path, words):
    one, other = shape_of(ruled(tmp_path)), shape_of(ruled(tmp_path, *words))
    assert one.arm != other.arm
