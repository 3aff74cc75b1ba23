"""What is wrong with rules and adherence, where it stands, and what to write."""

import pytest

import vtrial as vt
from tests.wrong_sheets.corpus import HERE, faults_of
from tests.wrong_sheets.splice import Spliced
from vtrial.conduct import explain
from vtrial.protocol.conditions import FUNCTIONS, OWN, Names, read_condition
from vtrial.protocol.rules import DOES, LOOKS_BACK, MOST_RULES, NAMED

SHEET = "rules.yaml"
SOUND = Spliced((HERE / SHEET).read_text())
DO, WHEN = ("rules", "late", "do"), ("rules", "less", "when")
TAKEN = ("arms", "real", "adherence")


def faults(path, value, folder):
    """Return the faults of the sound sheet with one entry changed, and the text."""
    text = SOUND.set(path, value)
    return faults_of(SHEET, text, folder), text


def alone(path, value, folder):
    """Return the one fault of such a sheet; its words stand where it says."""
    found, text = faults(path, value, folder)
    assert len(found) == 1, [str(fault) for fault in found]
    (fault,) = found
    line = text.splitlines()[fault.line - 1]
    if fault.old:
        there = line[fault.column - 1 :].lstrip('"')
        assert there.startswith(fault.old), (line, fault)
    assert fault.allowed
    return fault


DONE = {  # what people write, the words that are wrong, and ours
    "withhold": ("", "hold"),
    "pause": ("", "hold"),
    "skip": ("", "hold"),
    "discontinue": ("", "stop"),
    "restart": ("", "resume"),
    "drop out": ("", "leave"),
    "reduce dose by 20%": ("reduce dose by", "reduce by"),
    "decrease by 20 %": ("decrease by", "reduce by"),
    "raise by 20 %": ("raise by", "increase by"),
    "increase 25 %": ("increase", "increase by"),
    "postpone 1 d": ("postpone", "delay"),
    "hold 7 d": ("hold", "hold for"),
    "halve the dose": ("", "reduce to 50 %"),
    "step down": ("", ""),  # a ladder is missing, so that it would end nothing
    "titrate": ("", ""),
    "depot = 0": ("=", "<-"),
    "reduc to 80 %": ("reduc", "reduce"),
}


@pytest.mark.parametrize("words", DONE)
def test_what_people_say_is_done_is_told_in_our_words(words, tmp_path):
    fault = alone(DO, words, tmp_path)
    assert fault.found == f"`{words}`"
    if words != "step down":
        assert (fault.old, fault.write) == DONE[words]
    assert "`hold`, `hold for 7 d`" in fault.allowed


@pytest.mark.slow
def test_a_word_of_the_other_meaning_is_never_a_remedy(tmp_path):
    for words in ("decrease by 20 %", "lower by 20 %", "cut by 20 %"):
        assert not alone(DO, words, tmp_path).write.startswith("increase")


@pytest.mark.slow
def test_words_that_need_no_remedy_are_taken(tmp_path):
    for words in ("delay by 1 week", "reduce to 80%", "set dose to 50 mg", "leave"):
        assert faults(DO, words, tmp_path)[0] == ()


ODD = {
    (*DO, "delay"): "`delay`, without a time",
    (*DO, "<- 0"): "`<- 0`, an assignment to nothing",
    (*DO, "depot <-"): "`depot <-`, an assignment of nothing",
    (*DO, "increase by 0 %"): "`increase by 0 %`",
    (*DO, "reduce to 120 %"): "`reduce to 120 %`",
    (*DO, "give 10 mg every 24 h x 3"): "`10 mg every 24 h x 3`, which lasts",
    (*WHEN, "depot > 3"): "`depot`, which no visit measures",
    (*WHEN, "highest(conc) > 3"): "`highest(`, an unknown function",
    (*WHEN, "max(conc) > 3"): "`max` with 1 arguments",
    (*WHEN, "peak(conc, 7) > 3"): "`7`, without a unit",
    (*WHEN, "peak(conc, 7 dd) > 3"): "`7 dd`",
    (*WHEN, "peak(conc, visit) > 3"): "`visit` as the second part of `peak`",
    (*WHEN, "conc > 3 and 1 > 2"): "`conc > 3 and 1 > 2`, which never holds",
    ("rules", "late", "at", "lok"): "`lok`, an unknown visit",
    ("rules", "less", "at most", 0): "`0`",
    ("rules", "less", "lockout", "3"): "`3`, without a unit",
    ("rules", "wait", "after", "2"): "`2`, without a unit",
    ("rules", "less", "ladder", "50, 25, 12.5 mg"): "`25` after `50`",
    ("rules", "less", "ladder", "12.5, 25, 50 mgg"): "`mgg`, which is no unit",
    ("rules", "again", "success", 0): "`0.0`",
    ("arms", "ruled", "rules", "lates"): "`lates`, an unknown rule",
    (*TAKEN, "transitions", ((0.9, 0.2), (0.5, 0.5))): "[0.9, 0.2], which sum to 1.1",
    (*TAKEN, "transitions", ((0.9, 0.1),)): "1 row for 2 states",
    (*TAKEN, "between", "{take -> holiday: 1.2}"): "`take -> holiday`",
    (*TAKEN, "stop", 0.002): "`0.002`",
    (*TAKEN, "jitter", "14 h"): "`14 h`, with doses 24 h apart",
    (*TAKEN, "jitter", "2"): "`2`, without a unit",
    (*TAKEN, "jitter", "±2 h"): "`±2 h`",
}
REMEDIES = {
    "`highest(`, an unknown function": "peak",
    "`lok`, an unknown visit": "look",
    "`25` after `50`": "12.5, 25, 50 mg",
    "`lates`, an unknown rule": "late",
    "`take -> holiday`": "take to holiday",
    "`±2 h`": "2 h",
}


@pytest.mark.parametrize("case", ODD, ids=lambda case: f"{case[-2]} {case[-1]}")
def test_what_cannot_be_is_told_where_it_stands(case, tmp_path):
    *path, value = case
    if isinstance(value, tuple):
        value = [list(row) for row in value]
    if value == "{take -> holiday: 1.2}":
        value = {"take -> holiday": 1.2}
    fault = alone(tuple(path), value, tmp_path)
    assert fault.found == ODD[case]
    assert fault.write == REMEDIES.get(ODD[case], "")
    assert fault.line > 1
    assert fault.column > 1


def test_an_output_that_no_visit_measures_is_told_with_those_that_are(tmp_path):
    found, _ = faults(("visits", "lab", "measure"), ["conc"], tmp_path)
    told = [fault for fault in found if "which no visit measures" in fault.found]
    assert [fault.found for fault in told] == ["`effect`, which no visit measures"]
    assert "an output that is measured: conc" in told[0].allowed


def test_a_faulty_rule_or_visit_makes_no_other_fault(tmp_path):
    found, _ = faults(("rules", "less", "at most"), 0, tmp_path)
    assert [fault.found for fault in found] == ["`0`"]
    found, _ = faults(("visits", "lab", "known after"), 12, tmp_path)
    assert [fault.found for fault in found] == ["`12`"]


def test_transitions_may_lack_without_a_crash(tmp_path):
    text = SOUND.drop((*TAKEN, "transitions"))
    (fault,) = faults_of(SHEET, text, tmp_path)
    assert fault.found == "0 rows for 2 states"
    assert fault.path == (*TAKEN, "transitions")


CYCLES = """
protocol: cycles
model: pk
cohort: people
subjects: 10
arms: {a: {dose: 50 mg every 21 d x 4}}
visits: {v: {at: day 7, repeat: every 21 d x 4, measure: [conc]}}
rules: {r: {when: WHEN, do: hold}}
endpoints: {top: {of: conc, take: maximum}}
"""


def test_a_rule_that_no_visit_can_decide_is_told(tmp_path):
    for when in ("day_of_cycle == 8", "cycle > 4 and conc > 1"):
        text = CYCLES.replace("WHEN", f'"{when}"')
        (fault,) = faults_of(SHEET, text, tmp_path)
        assert fault.found == f"`{when}`, which holds at no time of v"
    for when in ("day_of_cycle == 7", "cycle == 4", "conc > 1 or day_of_cycle == 8"):
        assert faults_of(SHEET, CYCLES.replace("WHEN", f'"{when}"'), tmp_path) == ()


@pytest.mark.slow
def test_no_arm_has_more_rules_than_can_be_told_apart(tmp_path):
    rule = "  r{}: {{when: conc > {}, do: hold, also: true}}\n"
    for count in (MOST_RULES, MOST_RULES + 1):
        rules = "".join(rule.format(place, place) for place in range(count))
        text = CYCLES.replace(
            "rules: {r: {when: WHEN, do: hold}}\n", f"rules:\n{rules}"
        )
        found = faults_of(SHEET, text, tmp_path)
        assert len(found) == (count > MOST_RULES), found
    assert found[0].found == f"under {MOST_RULES + 1} rules"


def test_predictions_of_the_population_do_not_go_with_rules(tmp_path):
    found, _ = faults(("keep",), {"predictions": "prediction"}, tmp_path)
    assert [fault.path for fault in found] == [("keep", "predictions")]
    assert "doses under ruled or real" in found[0].found


def test_a_hold_may_last_to_the_end(tmp_path):
    text = CYCLES.replace("WHEN", "conc > 1")
    assert faults_of(SHEET, text, tmp_path) == ()


def test_one_rule_needs_no_list(tmp_path):
    assert faults(("arms", "ruled", "rules"), "late", tmp_path)[0] == ()


@pytest.mark.parametrize("span", ["7 d", "7 days", "168 h", "1 week", "1 wk"])
def test_spans_are_said_in_any_unit_of_time(span):
    names = Names(["conc"], [])
    seven = read_condition("peak(conc, 7 d) > 4", names)
    assert read_condition(f"peak(conc, {span}) > 4", names) == seven


def test_a_limit_is_no_span():
    names = Names(["conc"], [])
    told = read_condition("days below(conc, 2) > 4 and max(conc, 3) > 1", names)
    assert told.histories[0].limit.value == 2.0
    with pytest.raises(vt.VtrialError, match="numbers have no units"):
        read_condition("max(conc, 7 d) > 4", names)


@pytest.mark.slow
def test_everything_that_a_rule_may_say_is_explained(tmp_path):
    assert list(LOOKS_BACK) == list(FUNCTIONS)
    assert set(NAMED) | {"t", "dose"} == set(OWN)
    for word, (example, says) in DOES.items():
        assert says in explain(word)
        ladder = ', ladder: "25, 50 mg"' if "step" in example else ""
        text = CYCLES.replace("WHEN, do: hold", f"conc > 1, do: {example}{ladder}")
        assert faults_of(SHEET, text, tmp_path) == (), example
    for word in LOOKS_BACK:
        assert "rules.NAME.when" in explain(word.replace("_", " "))
    with pytest.raises(vt.VtrialError, match="Write `hold`"):
        explain("withhold")
