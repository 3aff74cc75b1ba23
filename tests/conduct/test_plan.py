"""A plan says what would be done, and refuses what cannot be."""

import json

import pytest

import vtrial as vt
from vtrial.conduct.extent import size_words
from vtrial.errors import ProtocolError


def test_plan_says_what_a_run_would_do(sheets):
    planned = vt.plan(sheets.load())
    words = planned.words()
    for part in ("small", "body", "folk", "30 x 4 replicates = 120", "5 of up to 25"):
        assert part in words
    for part in ("50 mg every 24 h x 2", "2 mg/kg every 24 h x 2", "1 of 2 subjects"):
        assert part in words
    assert planned.choice.method in words
    assert planned.choice.reason in words
    assert str(planned.folder) == f"results/small-{planned.digest[:8]}"
    assert [planned.size(b) for b in range(planned.blocks)] == [25] * 4 + [20]


def test_plan_as_data_is_json(sheets):
    data = json.loads(json.dumps(vt.plan(sheets.load()).as_data()))
    assert (data["total_subjects"], data["simulations"], data["blocks"]) == (
        120,
        120,
        5,
    )
    sheets.change("small", "block: 25", "block: 25\npotential: all")
    assert vt.plan(sheets.load()).as_data()["simulations"] == 240


def test_plan_writes_nothing(sheets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vt.plan(sheets.load())
    assert [p.name for p in tmp_path.iterdir()] == ["sheets"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("small", "seed: 11", "seed: 12"),
        ("small", "block: 25", "block: 24"),
        ("small", "50 mg every", "51 mg every"),
        ("small", "measurements: true", "measurements: false"),
        ("small", "seed: 11", "seed: 11\nnumerics: {rtol: 1e-7}"),
        ("body", "value: 1.0", "value: 1.1"),
        ("folk", "cv: 0.2", "cv: 0.21"),
    ],
)
def test_digest_changes_with_what_is_simulated(sheets, name, old, new):
    before = vt.plan(sheets.load()).digest
    assert vt.plan(sheets.change(name, old, new).load()).digest != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("small", "replicates: 4", "replicates: 5"),
        ("small", "by: ratio of geometric means", "by: difference of means"),
        ("small", "seed: 11", "seed: 11 # a comment"),
        ("body", "model: body", "model: body # a comment"),
        ("folk", "cohort: folk", "cohort: folk # a comment"),
    ],
)
def test_digest_stays_with_what_is_asked(sheets, name, old, new):
    before = vt.plan(sheets.load()).digest
    assert vt.plan(sheets.change(name, old, new).load()).digest == before


FAULTS = [
    ("folk", "  WT: {unit: kg,", "  MASS: {unit: kg,", "missing"),
    ("folk", "WT: {unit: kg,", "WT: {unit: m,", "`m`"),
    ("folk", "FEMALE:", "arm:", "`arm`"),
    (
        "small",
        "block: 25",
        "design: {randomisation: {permuted block: 4, stratified: [WT]}}",
        "WT",
    ),
    (
        "small",
        "by: ratio of geometric means",
        "by: difference of means, adjust: [AGE]",
        "AGE",
    ),
    (
        "small",
        "by: ratio of geometric means}\nkeep: {",
        "by: difference of means, adjust: [WT]}\nkeep: {covariates: false, ",
        "off",
    ),
    (
        "small",
        "keep: {",
        "published: [{arm: high, endpoint: peak, value: 2, within: 1, where: WT > 70}]"
        "\nkeep: {covariates: false, ",
        "published.0.where asks for `WT`",
    ),
    ("small", "measurements: true", "individual: [WT]", "kept already"),
]


@pytest.mark.parametrize(("name", "old", "new", "word"), FAULTS)
def test_what_cannot_work_is_refused(sheets, name, old, new, word):
    if "eligibility" in sheets.texts["folk"] and name == "folk":
        sheets.change("folk", 'eligibility: "WT > 50"\n', "")
    sheets.change(name, old, new)
    with pytest.raises(ProtocolError, match=word):
        vt.plan(sheets.load())


def test_weight_in_grams_is_refused_for_doses_per_kg(sheets):
    sheets.change(
        "folk",
        "unit: kg, lognormal: {median: 75, cv: 0.2}, within: [40, 150]",
        "unit: g, lognormal: {median: 75000, cv: 0.2}",
    )
    sheets.change("folk", 'eligibility: "WT > 50"\n', "")
    vt.plan(sheets.load())
    sheets.change(
        "body", "WT: {unit: kg, typical: 70}", "WT: {unit: g, typical: 70000}"
    )
    with pytest.raises(ProtocolError, match="per kg"):
        vt.plan(sheets.load())


def test_a_fault_tells_its_line(sheets):
    sheets.change(
        "small",
        "by: ratio of geometric means",
        "by: difference of means, adjust: [AGE]",
    )
    with pytest.raises(ProtocolError) as caught:
        vt.plan(sheets.load())
    (fault,) = caught.value.faults
    assert fault.source.endswith("small.yaml")
    lines = sheets.texts["small"].splitlines()
    assert "adjust" in lines[fault.line - 1]


def test_what_every_arm_sets_need_not_come_from_the_cohort(sheets):
    sheets.change("folk", "  WT: {unit: kg,", "  MASS: {unit: kg,")
    sheets.change("folk", 'eligibility: "WT > 50"\n', "")
    sheets.change("small", '"50 mg every 24 h x 2"', '"50 mg", set: {WT: 70}')
    sheets.change("small", '"2 mg/kg every 24 h x 2"', '"60 mg", set: {WT: "MASS"}')
    assert vt.plan(sheets.load()).blocks == 5


def test_sizes_in_words():
    assert [size_words(s) for s in (1.0, 1e4, 2.5e13)] == ["1 bytes", "10 kB", "25 TB"]
