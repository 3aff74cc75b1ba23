"""Factors of a sheet: the arms they make, what is compared, what is refused."""

import functools

import pytest

import vtrial as vt
from tests.changed_sheet import load_changed, told_at

SHEET = """
protocol: two-factors
model: one-compartment-oral
cohort: adults
subjects: 40
factors:
  dose: {low: {dose: 50 mg, title: half}, high: {dose: 100 mg, title: whole}}
  food: {fasted: {title: empty}, fed: {title: full, set: {tvKA: 0.5 * tvKA}}}
visits:
  blood: {at: "0.5 h, 1 h, 2 h, 24 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum}
analysis:
  - {compare: fed with fasted, on: peak, by: difference of means, adjust: [WT]}
  - {compare: dose x food, on: peak, by: ratio of geometric means}
  - {compare: high and fed with low and fed, on: peak, by: difference by ranks}
"""


load = functools.partial(load_changed, SHEET)


def test_every_combination_of_levels_is_an_arm():
    made = load()
    assert [arm.name for arm in made.arms] == [
        "low and fasted",
        "low and fed",
        "high and fasted",
        "high and fed",
    ]
    assert made.arms[3].title == "whole and full"
    assert [arm.sets for arm in made.arms] == [(), ("tvKA",), (), ("tvKA",)]
    main, interaction, plain = made.analysis.comparisons
    assert dict(main.cells) == {
        "low and fasted": -0.5,
        "low and fed": 0.5,
        "high and fasted": -0.5,
        "high and fed": 0.5,
    }
    assert main.pools["fed"] == ("low and fed", "high and fed")
    assert [weight for _, weight in interaction.cells] == [1, -1, -1, 1]
    assert plain.cells == ()
    by_hand = SHEET.replace("factors:", "arms:").splitlines()
    start = by_hand.index("arms:")
    by_hand[start + 1 : start + 3] = [
        "  low and fasted: {dose: 50 mg}",
        "  low and fed: {dose: 50 mg, set: {tvKA: 0.5 * tvKA}}",
        "  high and fasted: {dose: 100 mg}",
        "  high and fed: {dose: 100 mg, set: {tvKA: 0.5 * tvKA}}",
    ]
    text = "\n".join(by_hand).split("analysis:")[0]
    assert vt.load_protocol(text).digest == made.digest


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("dose: 50 mg", "dose: 50 mgg", "factors.dose.low.dose", "no unit"),
        ("0.5 * tvKA", "0.5 * tvK", "factors.food.fed.set.tvKA", "`tvK`"),
        (
            "fed: {title: full, set",
            "fed: {title: full, sett",
            "fed.sett",
            "Write `set`",
        ),
        ("fed: {title", "low: {title", "factors.food.low", "a name of its own"),
        ("fasted: {title: empty}, ", "", "factors.food", "of one level"),
        ("dose: 100 mg", "set: {tvKA: 1}", "factors.food.fed.set.tvKA", "`dose` sets"),
        ("visits:", "arms: {a: {}}\nvisits:", "arms", "beside `factors`"),
        ("ratio of geometric means", "difference by ranks", "analysis.1.by", "factor"),
        ("dose x food", "dose x fod", "analysis.1.compare", "an arm"),
    ],
)
def test_what_makes_no_arms_is_refused(old, new, at, message):
    told = told_at(SHEET, (old, new), lambda place: place.endswith(at))
    assert message in told[0]
