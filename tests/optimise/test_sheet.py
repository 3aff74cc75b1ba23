"""Variables in braces, and every wrong key told with its line."""

import pytest

import vtrial as vt
from vtrial.errors import ProtocolError
from vtrial.optimise.leaves import named, parted
from vtrial.protocol.stored import read_protocol, write_protocol

START = "amount: {from: 100 mg, to: 1500 mg, step: 25 mg, start: 200 mg}"
GOAL = "  maximise: inside"
AMOUNT = "optimise.vary.amount"
WRONG = [  # what stands there, what is written instead, where the fault is, its words
    (START, "amount: {from: 100 mg}", AMOUNT, "`from` and `to`"),
    (START, "amount: {from: 9 mg, to: 5 mg}", f"{AMOUNT}.to", "above `from`"),
    (START, "amount: {from: 1 mg, to: 5 h}", f"{AMOUNT}.to", "unit of the others"),
    (START, "amount: {from: 1 mg, to: 5 mg, step: 9 mg}", f"{AMOUNT}.step", "range"),
    (START, "amount: {from: 1 mg, to: 5 mg, start: 9 mg}", f"{AMOUNT}.start", "1 and"),
    (START, "amount: {from: lots, to: 5 mg}", f"{AMOUNT}.from", "a number"),
    (START, "amount: {values: [1 mg, 1 mg]}", f"{AMOUNT}.values", "different"),
    (START, "amount: {values: [1 mg, 2 mg], to: 3 mg}", f"{AMOUNT}.values", "alone"),
    (START, "amount: {form: 1 mg, to: 5 mg}", f"{AMOUNT}.form", "unknown key"),
    ("{amount}", "200 mg", AMOUNT, "nowhere in braces"),
    ("{amount}", "{amuont}", "arms.dose.dose", "unknown variable"),
    (GOAL, "  arm: dose", "optimise", "without a goal"),
    (GOAL, f"{GOAL}\n  minimise: high", "optimise", "both"),
    (GOAL, "  maximise: insid", "optimise.maximise", "unknown endpoint"),
    (GOAL, f"{GOAL}\n  arm: dos", "optimise.arm", "unknown arm"),
    (GOAL, f"{GOAL}\n  by: magic", "optimise.by", "gradient"),
    (GOAL, f"{GOAL}\n  widths: [0.1, 0.5]", "optimise.widths", "falling"),
    (GOAL, f"{GOAL}\n  widths: [-1]", "optimise.widths.0", "above 0"),
    (GOAL, f"{GOAL}\n  evaluations: 1", "optimise.evaluations", "4"),
    (GOAL, f"{GOAL}\n  front: {{against: inside}}", "optimise.front.against", "itself"),
    (GOAL, f"{GOAL}\n  front: {{against: x}}", "optimise.front.against", "unknown"),
    (GOAL, f"{GOAL}\n  subject to: [{{on: high}}]", "optimise.subject to.0", "one of"),
    (
        GOAL, f"{GOAL}\n  subject to: [{{on: high, at most: 120 %}}]",
        "optimise.subject to.0.at most", "share",
    ),
    (
        GOAL, f"{GOAL}\n  subject to: [{{on: hihg, at most: 10 %}}]",
        "optimise.subject to.0.on", "unknown endpoint",
    ),
    (
        GOAL, f"{GOAL}\n  subject to: [{{on: high, at most: 1 %, confidence: 1}}]",
        "optimise.subject to.0.confidence", "below 100",
    ),
    (
        "subjects: 400", "subjects: 4, replicates: 9",
        "optimise.search.replicates", "at most as many",
    ),
    (
        "verify: {subjects: 1000}", "verify: {subjects: 9, seed: 5}",
        "optimise.verify.seed", "fresh people",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "at", "words"), WRONG)
def test_every_wrong_key_is_told_with_its_line(sheets, old, new, at, words):
    sheets.change(old, new)
    with pytest.raises(ProtocolError) as caught:
        sheets.load()
    faults = {fault.at: fault for fault in caught.value.faults}
    assert at in faults, caught.value
    assert words in str(faults[at])
    assert faults[at].line > 1


def test_all_faults_are_told_at_once(sheets):
    sheets.change(GOAL, "  maximise: insid\n  front: {against: x}")
    sheets.change("start: 200 mg", "start: 2 mg")
    with pytest.raises(ProtocolError) as caught:
        sheets.load()
    assert len(caught.value.faults) == 3


def test_a_run_runs_the_start(sheets):
    protocol = sheets.load()
    assert protocol.arms[0].regimen.words.startswith("200 mg every 24 h")
    sheets.change("start: 200 mg", "start: 300 mg")
    assert sheets.load().digest != protocol.digest, "the dose is simulated"


def test_what_is_asked_of_an_optimisation_is_no_part_of_a_record(sheets):
    protocol = sheets.load()
    sheets.change(GOAL, "  minimise: high").change("subjects: 400", "subjects: 500")
    assert sheets.load().digest == protocol.digest


def test_it_is_kept_with_the_protocol(sheets):
    protocol = sheets.load()
    assert read_protocol(write_protocol(protocol)).optimisation == protocol.optimisation


def test_numbers_stand_in_any_words_of_arms_and_rules():
    sheet = """
protocol: everywhere
model: one-compartment-oral
cohort: adults
subjects: 8
arms:
  dose:
    dose: "{loading} at 0 h then {keep} every {gap} x 3"
    set: {tvCL: "{clear}"}
visits: {level: {at: "24 h, 48 h", measure: [conc]}}
rules:
  lower: {when: "conc > {limit}", do: "reduce to {share}"}
endpoints: {peak: {of: conc, take: maximum}}
optimise:
  minimise: peak
  vary:
    loading: {from: 10 mg, to: 200 mg}
    keep: {from: 10 mg, to: 90 mg}
    gap: {values: [12 h, 24 h]}
    clear: {from: 2, to: 6}
    limit: {from: 1, to: 5}
    share: {from: 50 %, to: 90 %}
"""
    arm = vt.load_protocol(sheet).arms[0]
    apart = parted(arm)
    kinds = dict(zip(apart.numbers, apart.kinds, strict=True))
    assert kinds[105.0] == kinds[50.0] == kinds[4.0] == kinds[3.0] == "equation"
    assert kinds[24.0] == "time"
    place = apart.numbers.index(105.0)
    other = parted(named(arm, {place: 0}))
    assert len(other.numbers) == len(apart.numbers) - 1
