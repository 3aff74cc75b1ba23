"""What a fault says to write ends it, means what was meant, and stands where it says.

Hundreds of wrong sheets (`tests/wrong_sheets/`), and sheets with odd entries, are read;
every remedy is written into the text, which is read again.
"""

import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wrong_sheets.corpus import EVENTS, HERE, Case, cases, faults_of
from tests.wrong_sheets.mend import is_new_there, mended, spot
from tests.wrong_sheets.splice import Spliced, entries_of
from vtrial.dosing.columns import FOREIGN as FOREIGN_COLUMNS
from vtrial.errors import UnitError, VtrialError
from vtrial.protocol import load_protocol
from vtrial.sheets import keys, synonyms
from vtrial.sheets.synonyms import folded
from vtrial.sheets.words import slips
from vtrial.units import factor, quantity

SHEETS = (
    *("pk.yaml", "people.yaml", "arms.yaml", "endpoints.yaml", "analysis.yaml"),
    "rules.yaml",
)
DEAR = ("arms.yaml", "analysis.yaml", "rules.yaml")  # whose remedies take the longest
THIN = 20  # of so many wrong sheets one is read, unless the slow tests run, too
FOREIGN = ("pydantic", "Shape", "Input should", "valid dictionary", "instance of")
BEAL = (("M1", "drop"), ("M5", "LLOQ/2"), ("M6", "LLOQ/2 once"), ("M7", "zero"))
TABLES = [*synonyms.SAME.values(), *keys.SAME.values()]
MEANT = {(word, ours) for table in TABLES for word, ours in table.items()}
MEANT |= {(word.lower(), ours) for word, ours in (*FOREIGN_COLUMNS.items(), *BEAL)}
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")


def check(case: Case, folder: str) -> int:
    """Hold the law over the faults of a sheet; return how many have a remedy."""
    faults = faults_of(case.sheet, case.text, folder)
    before = Counter(spot(fault) for fault in faults)
    for fault in faults:
        assert fault.found, case
        assert fault.allowed, case
        assert not any(words in str(fault) for words in FOREIGN), (case, fault)
        if not fault.write:
            continue
        told = f"{case.sheet}, {case.edit}: {fault}"
        text = mended(case.sheet, case.text, fault)
        after = faults_of(case.sheet, text, folder)
        left = sum(spot(one) == spot(fault) for one in after)
        assert left < before[spot(fault)], told
        assert not [one for one in after if is_new_there(one, fault, before)], told
        assert is_meant(case, fault), told
    return sum(bool(fault.write) for fault in faults)


def is_meant(case: Case, fault) -> bool:
    """Return whether a remedy says the same: numbers stay, and words have a reason."""
    old = fault.old or str(stood(case, fault))
    if fault.path[-1:] == ("categorical",):
        return True  # shares that are off by rounding, divided by their sum
    if set(NUMBER.findall(fault.write)) - set(NUMBER.findall(old)):
        return is_spoken(old, fault.write) or is_same_quantity(old, fault.write)
    return not old or is_spoken(old, fault.write) or is_rewritten(old, fault.write)


def stood(case: Case, fault) -> str:
    """Return the text that stood at the place of a fault."""
    if case.sheet == EVENTS:
        return fault.old
    spliced = entries_of(case.text)
    first, last = spliced.values.get(fault.path, (0, 0))
    return case.text[first:last].strip("\"'")


def is_spoken(old: str, new: str) -> bool:
    """Return whether words mean the same by a table, or are a slip of the keyboard."""
    pairs = {(folded(word), ours) for word, ours in MEANT} | MEANT
    words = {old, folded(old), old.casefold()}
    if any((word, new) in pairs for word in words):
        return True
    every = re.fullmatch(r"[qQ](\d+)\s*[hHdDwW]", old)
    day = re.fullmatch(r"cycle (\d+) day \d+", old)
    return bool(every or day) or slips(folded(old), folded(new)) < 9


def is_same_quantity(old: str, new: str) -> bool:
    """Return whether a number was brought to another unit, and to nothing else."""
    plain = re.sub(r"[ '](?=\d{3})|,(?=\d{3}[,.])", "", old).replace(",", ".")
    if plain == new or float(plain.split()[0]) == float(new.split()[0]):
        return True
    try:
        number, unit = quantity(old)
    except UnitError:
        return False
    units = ("mg", "h", "1", "mg/L", "kg", "L/h", "%")
    return any(_is(number, unit, to, float(new.split()[0])) for to in units)


def _is(number, unit, to, value):
    try:
        return abs(number * factor(unit, to) - value) < 1e-9
    except UnitError:
        return False


def is_rewritten(old: str, new: str) -> bool:
    """Return whether the same words stand in another order, or between other signs."""
    ours = set(re.findall(r"[A-Za-z]{2,}|\d+", new)) - {
        "with",
        "to",
        "and",
        "or",
        "not",
    }
    ours -= {"dt", "init", "lag", "duration", "on", "identity", "every", "pp", "per"}
    theirs = old.casefold()
    return all(word.casefold() in theirs for word in ours)


@pytest.mark.parametrize(
    "sheet",
    [
        pytest.param(one, marks=[pytest.mark.slow] if one in DEAR else [])
        for one in (*SHEETS, EVENTS)
    ],
)
def test_every_remedy_of_the_wrong_sheets_ends_its_fault(sheet, request, tmp_path):
    own = [case for case in cases() if case.sheet == sheet]
    thin = 1 if request.config.getoption("--slow") else THIN
    remedies = sum(check(case, tmp_path) for case in own[::thin])
    assert thin > 1 or remedies > len(own) / 10, "remedies have not gone away"


@pytest.mark.parametrize("sheet", [*SHEETS, EVENTS])
def test_the_sheets_that_are_made_wrong_are_sound(sheet, tmp_path):
    assert faults_of(sheet, (HERE / sheet).read_text(), tmp_path) == ()


SOUND = {sheet: Spliced((HERE / sheet).read_text()) for sheet in SHEETS}
PLACES = [(sheet, path) for sheet in SHEETS for path in SOUND[sheet].values if path]
ODD = st.sampled_from(
    [None, True, 0, -1, 1.5, 30, "", "x", "CL", "5 mg", "1,000", "day 7", "500 IU"]
    + [[], {}, [1, "a"], {"a": 1}, "mean difference", "ln(WT)", "a = b", "50 %", "("]
)


@st.composite
def slipped(draw, text):
    """Make a typing error in a text."""
    place = draw(st.integers(0, max(len(text) - 1, 0)))
    letter = draw(st.sampled_from("abexLmg /.1"))
    kind = draw(st.sampled_from(["lack", "add", "other", "swap"]))
    before, behind = text[:place], text[place + 1 :]
    if kind == "swap":
        return before + behind[:1] + text[place : place + 1] + behind[1:]
    middle = {"lack": "", "add": letter + text[place : place + 1], "other": letter}
    return before + middle[kind] + behind


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_remedy_of_odd_entries_and_slips_ends_its_fault(data, tmp_path_factory):
    sheet, path = data.draw(st.sampled_from(PLACES))
    sound = SOUND[sheet]
    first, last = sound.values[path]
    value = sound.text[first:last]
    if data.draw(st.booleans()) or not value or value[0] in "{[|" or "\n" in value:
        text = sound.set(path, data.draw(ODD))
    else:
        text = sound.set(path, data.draw(slipped(value.strip("\"'"))))
    folder = tmp_path_factory.getbasetemp()
    check(Case(sheet, f"{path}", text), folder)


SAID = [  # a wrong edit, what stands there, what may stand there, what is written
    ("analysis", "analysis/0/by", "mean difference", "", "difference of means"),
    ("analysis", "analysis/1/by", "difference of proportions", "", "risk difference"),
    ("analysis", "analysis/0/by", "ANCOVA", "with `adjust: [baseline]`", ""),
    ("analysis", "analysis/3/by", "RMST", "", "difference of restricted means"),
    ("arms", "arms/low/dose", "500 IU every 24 h x 3", "that converts to mg", ""),
    ("arms", "arms/low/dose", "50 mg PO every 24 h x 3", "or `into depot`", ""),
    ("arms", "arms/low/dose", "50 mg BID x 14", "", "every 12 h"),
    ("arms", "arms/high/set", {"EMAX": "90 %"}, "in the unit of the model", "0.9"),
    ("arms", "arms/high/set", {"EC50": "2.4 mg"}, "of the model, mg/L", ""),
    ("analysis", "published/1/value", "4 points", "that converts to mg/L", ""),
    ("analysis", "published/0/within", "5 points", "", "5 pp"),
    ("analysis", "published/0/statistic", "n", "none of the outcomes", ""),
    (
        "pk",
        "outputs/conc/error",
        {"additive": "0.1*conk"},
        "a parameter, covariate",
        "conc",
    ),
    ("pk", "outputs/conc/error", "proportional 10 %", "", "{proportional: 10 %}"),
    ("pk", "covariates/WT", "kg", "a map of the keys title, unit, typical", ""),
    ("endpoints", "endpoints/onset/between", "1 h", "`within` for a span", ""),
    ("people", "covariates/WT/each/0/lognormal/sdlog", 0.2, "log-sd", ""),
    ("people", "covariates/GENO/categorical", {0: 0.3, 1: 0.3, 2: 0.3}, "to 1", ""),
]


@pytest.mark.parametrize(("sheet", "place", "value", "allowed", "write"), SAID)
def test_what_people_say_is_answered_by_its_meaning(
    sheet, place, value, allowed, write, tmp_path
):
    sound = SOUND[f"{sheet}.yaml"]
    path = tuple(
        int(part)
        if part.isdigit() and part != "0" or (part == "0" and i == 1)
        else part
        for i, part in enumerate(place.split("/"))
    )
    faults = faults_of(f"{sheet}.yaml", sound.set(path, value), tmp_path)
    mine = [fault for fault in faults if fault.path[: len(path)] == path]
    assert mine, faults
    assert any(allowed in one.allowed and one.write == write for one in mine), mine


def test_a_change_without_a_baseline_is_given_none(tmp_path):
    text = SOUND["endpoints.yaml"].text.replace('"day 0, day 7, day 14"', '"day 14"')
    text = text.replace('"1 h, 2 h, 4 h, 12 h, 169 h, 170 h, 172 h"', "day 8")
    faults = faults_of("endpoints.yaml", text, tmp_path)
    (mine,) = (one for one in faults if one.path[-1:] == ("baseline",))
    assert "the first is at 192 h" in mine.allowed
    assert not mine.write


def test_thirds_are_one_whole_or_are_made_one(tmp_path):
    for shares in (
        {0: 0.3333, 1: 0.3333, 2: 0.3333},
        {0: 0.33333, 1: 0.33333, 2: 0.3333},
    ):
        text = SOUND["people.yaml"].set(("covariates", "GENO", "categorical"), shares)
        for fault in faults_of("people.yaml", text, tmp_path):
            assert mended("people.yaml", text, fault) != text
            assert (
                faults_of("people.yaml", mended("people.yaml", text, fault), tmp_path)
                == ()
            )


def test_every_fault_of_three_sheets_at_once(tmp_path):
    """Model, cohort and protocol are wrong: one error tells all, each with its file."""
    swaps = {
        "pk.yaml": {"CL/V*central": "CLL/V*centrl && ln(V)", "unit: L/h": "unit: L/hh"},
        "people.yaml": {"unit: cm": "unit: cmm", "0.8*WT": "0.8*WTT + lnn(HT)"},
        "arms.yaml": {
            "50 mg every 24 h x 14": "50 mgg evry 24 h x 14 then 20 mg every 24 hh x 2",
            "subjects: 120": "subjects: none",
        },
    }
    texts = {name: (HERE / name).read_text() for name in swaps}
    for name, changes in swaps.items():
        for old, new in changes.items():
            assert texts[name].count(old) >= 1, old
            texts[name] = texts[name].replace(old, new, 1)
        (tmp_path / name).write_text(texts[name])
    with pytest.raises(VtrialError) as caught:
        load_protocol(tmp_path / "arms.yaml")
    words = {
        "pk.yaml": ["L/hh", "&&"],
        "people.yaml": ["cmm", "lnn("],
        "arms.yaml": ["evry", "none"],
    }
    for name, said in words.items():
        own = [one for one in caught.value.faults if one.source.endswith(name)]
        found = " ".join(one.found for one in own)
        assert all(word in found for word in said), (name, found)
        rows = texts[name].split("\n")
        for one in own:
            if one.old and one.column:
                assert rows[one.line - 1].startswith(one.old, one.column - 1), one


def test_several_faults_of_one_equation_and_of_one_dose(tmp_path):
    text = SOUND["pk.yaml"].text.replace("exp(eta.CL)", "ln(eta.CLL) + phi(WTT)")
    rows = text.split("\n")
    faults = faults_of("pk.yaml", text, tmp_path)
    found = [rows[one.line - 1][one.column - 1 :][:4] for one in faults if one.old]
    assert sorted(found) == sorted(["ln(e", "phi(", "eta.", "WTT)"])
    dose = "50 mg evry 24 h x 3 then 20 mgg every 24 hh x 3"
    text = SOUND["arms.yaml"].set(("arms", "low", "dose"), dose)
    rows = text.split("\n")
    faults = faults_of("arms.yaml", text, tmp_path)
    assert [rows[one.line - 1][one.column - 1 :][:4] for one in faults] == [
        *("evry", "mgg ", "hh x"),
    ]


def test_a_sheet_of_another_kind_is_told_by_its_kind(tmp_path):
    with pytest.raises(VtrialError, match=r"a cohort sheet, which `vtrial cohort "):
        load_protocol(HERE / "people.yaml")
    text = SOUND["arms.yaml"].set(("cohort",), "pk")
    assert "pk" in str(faults_of("arms.yaml", text, tmp_path)[0])
