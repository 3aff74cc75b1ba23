"""Protocols load whole, or not at all: every fault at once, with line and remedy."""

import contextlib
import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtrial.errors import (
    ProtocolError,
    SheetError,
)
from vtrial.model.grammar import write_expression
from vtrial.protocol import build_protocol, load_protocol
from vtrial.protocol.design import Allocation
from vtrial.protocol.protocol import Keep
from vtrial.protocol.subset import write_where
from vtrial.sheets.sheet import parse_sheet

ROOT = Path(__file__).parents[2]
SHEET = """
protocol: doses
title: Three arms
source: {cite: nobody}
model: one-compartment-oral
cohort: adults
subjects: 60
replicates: 4
seed: 7
arms:
  placebo:
  low: {title: 50 mg, dose: "50 mg every 24 h x 14"}
  high with food:
    dose: ["60 mg every 24 h x 14", "1 mg/kg every 24 h x 14"]
    set: {WT: 70, eta.KA: "0.5 * eta.KA"}
visits:
  trough: {at: "day 0, day 7, day 14", window: 2 h, measure: [conc]}
  profile: {at: [1 h, 2 h, 4 h, 12 h], repeat: every 7 d x 2, measure: [conc],
    after dose: true}
design:
  allocation: {low: 1, high with food: 2, placebo: 1}
  randomisation: {stratified: [FEMALE], permuted block: 8}
endpoints:
  last: {of: conc, take: value, at: day 14, visits: [trough]}
  rise: {of: conc, take: change, at: day 14}
  peak: {of: conc, take: maximum, within: day 7 to day 8}
  area: {of: conc, take: area, within: cycle 8, values: true}
  high: {of: conc, take: maximum, above: 500 ug/L}
  when: {of: conc, take: time to, low: 0.2}
  soon: {of: conc, take: time to, low: 0.2, below: 2 d}
analysis:
  - {compare: high with food with low, on: peak, by: ratio of geometric means}
  - {compare: low with placebo, on: high, by: risk difference}
  - {compare: low with placebo, on: high, by: odds ratio, level: 0.9}
  - compare: low with placebo
    on: rise
    by: difference of means
    adjust: [baseline, AGE]
    name: main
keep: {trajectories: first 20, individual: [CL, eta.CL]}
occasions: day 7
published:
  - {arm: low, endpoint: high, value: 75.4 %, within: 5 pp, source: {note: made up}}
  - arm: low
    endpoint: peak
    value: 800 ug/L
    within: [0.5, 1 mg/L]
    statistic: median
    where: WT >= 65 and FEMALE == 1
  - {comparison: main, value: 0.4, within: 10 %, verified: false}
  - {comparison: low with placebo on high by risk difference, value: 60 pp, within: 0.1}
numerics: {method: explicit, rtol: 1e-8}
"""


def load(text, folder=ROOT, **changes):
    return build_protocol(parse_sheet(text, source=str(folder / "x.yaml")), **changes)


def faults_in(text, **changes):
    with pytest.raises(ProtocolError) as caught:
        load(text, **changes)
    return caught.value.faults


def swapped(old, new):
    assert SHEET.count(old) == 1, old
    return SHEET.replace(old, new)


def test_everything_is_resolved():
    protocol = load(SHEET)
    assert [arm.name for arm in protocol.arms] == ["placebo", "low", "high with food"]
    assert protocol.arms[0].regimen is None
    assert protocol.arms[2].regimen.needs == ("WT",)
    assert {k: write_expression(v) for k, v in protocol.arms[2].set} == {
        "WT": "70",
        "eta.KA": "0.5*eta.KA",
    }
    assert protocol.design.allocation == Allocation(
        (1, 1, 2), "stratified", 8, ("FEMALE",)
    )
    trough, profile = protocol.visits
    assert (trough.times, trough.window) == ((0, 168, 336), 2)
    assert profile.times == (1, 2, 4, 12, 169, 170, 172, 180)
    assert profile.after_dose
    assert not trough.after_dose
    assert protocol.occasions == (0, 168)
    assert protocol.keep == Keep(20, individual=("CL", "eta.CL"))
    assert protocol.numerics.method == "explicit"
    assert protocol.numerics.rtol == 1e-8
    assert protocol.sources[0].cite == "nobody"
    assert protocol.text == SHEET
    assert protocol.data["subjects"] == 60


def test_endpoints_are_resolved():
    points = {point.name: point for point in load(SHEET).endpoints}
    assert (points["last"].start, points["last"].end) == (336, 336)
    assert points["last"].visits == ("trough",)
    assert points["rise"].visits == ("trough", "profile")
    assert (points["peak"].start, points["peak"].end) == (168, 192)
    assert (points["area"].start, points["area"].end) == (168, 192)
    assert points["area"].unit == "mg.h/L"
    assert points["area"].visits == ()
    assert points["high"].above == pytest.approx(0.5)
    assert (points["high"].start, points["high"].end) == (0, 336)
    assert (points["high"].unit, points["high"].binary) == ("1", True)
    assert points["when"].event
    assert points["when"].unit == "h"
    assert points["soon"].below == 48
    assert not points["soon"].event


def test_questions_and_evidence_are_resolved():
    protocol = load(SHEET)
    assert [one.name for one in protocol.analysis.comparisons] == [
        "high with food with low on peak",
        "low with placebo on high by risk difference",
        "low with placebo on high by odds ratio",
        "main",
    ]
    first, *_, last = protocol.analysis.comparisons
    assert (first.arm, first.reference) == ("high with food", "low")
    assert last.adjust == ("baseline", "AGE")
    share, median, mean, risk = protocol.evidence.published
    assert (share.value, share.low, share.high) == pytest.approx((0.754, 0.704, 0.804))
    assert share.statistic == "share"
    assert (median.value, median.low, median.high) == pytest.approx((0.8, 0.5, 1))
    assert median.statistic == "median"
    assert write_where(median.where) == "WT >= 65 and FEMALE == 1"
    assert share.where is None
    assert (mean.low, mean.high) == pytest.approx((0.36, 0.44))
    assert not mean.verified
    assert (risk.value, risk.low, risk.high) == pytest.approx((0.6, 0.5, 0.7))


def test_grid_spans_the_trial_and_meets_the_visits():
    protocol = load(SHEET)
    assert protocol.grid[0] == 0
    assert protocol.grid[-1] == 336
    assert 100 <= len(protocol.grid) - len(protocol.added) <= 200
    assert 0 < len(protocol.added) <= 400
    assert set(protocol.visits[1].times) <= set(protocol.grid)
    text = SHEET + "grid: [{every: 0.5 h, until: 2 h}, {every: 1 d, until: day 3}]\n"
    text = text.replace("within: cycle 8, values: true", "within: cycle 8")
    protocol = load(text)
    grid = protocol.grid
    assert protocol.added == ()
    assert len(set(grid)) == len(grid)
    assert {0, 0.5, 1, 1.5, 2, 26, 50, 72} <= set(grid)
    assert 0.25 not in grid


def test_changes_stand_for_the_sheet():
    protocol = load(SHEET, changes={"subjects": 8, "replicates": 2, "seed": 1})
    assert (protocol.subjects, protocol.replicates, protocol.seed) == (8, 2, 1)
    assert protocol.data["subjects"] == 8
    (fault,) = faults_in(SHEET, changes={"subject": 8})
    assert fault.write == "subjects"
    (fault,) = faults_in(SHEET, changes={"subjects": 0})
    assert "1 or more" in fault.allowed


def test_digest_names_what_is_simulated():
    digest, block = load(SHEET).digest, load(SHEET).block
    for same in (
        "# a comment\n" + SHEET,
        swapped("day 0, day 7, day 14", "0 h, 168 h, week 2"),
        swapped("title: Three arms\n", ""),
        swapped("replicates: 4", "replicates: 9"),
        swapped("500 ug/L", "0.5"),
        swapped("value: 75.4 %", "value: 70 %"),
        swapped("seed: 7\n", f"seed: 7\nblock: {block}\npotential: allocated\n"),
        swapped(
            "allocation: {low: 1, high with food: 2, placebo: 1}",
            "allocation: {placebo: 1, low: 1, high with food: 2}",
        ),
        swapped("  - {compare: low with placebo, on: high, by: risk difference}\n", "")
        .replace("on high by risk difference, value", "on high, value")
        .replace("value: 60 pp, within: 0.1", "value: 60, within: 9"),
    ):
        assert load(same).digest == digest
    for other in (
        swapped("seed: 7", "seed: 8"),
        swapped("subjects: 60", "subjects: 61"),
        swapped("50 mg every", "51 mg every"),
        swapped("window: 2 h", "window: 1 h"),
        swapped("WT: 70", "WT: 71"),
        swapped("cohort: adults", "cohort: breast-cancer-second-line").replace(
            "FEMALE", "PRIOR"
        ),
        swapped("rtol: 1e-8", "rtol: 1e-7"),
        swapped("first 20", "first 21"),
        swapped("above: 500 ug/L", "above: 501 ug/L"),
        swapped("title: Three arms\n", "uncertainty: false\n"),
    ):
        assert load(other).digest != digest


def test_order_of_arms_counts():
    text = swapped("  placebo:\n", "").replace("visits:\n", "  placebo:\nvisits:\n", 1)
    assert load(text).digest != load(SHEET).digest


def test_ten_mistakes_ten_messages():
    text = SHEET
    mistakes = {
        "replicates: 4": ("replicats: 4", "replicates"),
        "50 mg every": ("50 mgg every", ""),
        "day 0, day 7, day 14": ("day 0, dya 7, day 14", "day 7"),
        "window: 2 h": ("window: 2 hh", ""),
        "high with food: 2, placebo": ("high with fod: 2, placebo", "high with food"),
        "take: value": ("take: valu", "value"),
        "of: conc, take: change": ("of: cnc, take: change", "conc"),
        "above: 500 ug/L": ("above: 500 kg", ""),
        "with food with low": ("with food with lo", "low"),
        "individual: [CL": ("individual: [CLL", "CL"),
    }
    for old, (new, _) in mistakes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    faults = faults_in(text)
    for old, (new, write) in mistakes.items():
        line = SHEET[: SHEET.index(old)].count("\n") + 1
        here = [fault for fault in faults if fault.line == line]
        assert any(fault.write == write for fault in here), (new, here)
    lines = {SHEET[: SHEET.index(old)].count("\n") + 1 for old in mistakes}
    assert {fault.line for fault in faults} == lines, faults
    assert all(fault.source.endswith("x.yaml") for fault in faults)


def test_unknown_visit_arm_output_and_unit_in_one_error():
    text = swapped("visits: [trough]", "visits: [through]")
    text = text.replace("arm: low\n    endpoint: peak", "arm: lwo\n    endpoint: peak")
    text = text.replace("of: conc, take: area", "of: conz, take: area")
    text = text.replace("value: 800 ug/L", "value: 800 ug/LL")
    text = text.replace("window: 2 h", "window: 2 hx")
    said = "\n".join(map(str, faults_in(text)))
    for words in ("unknown visit", "unknown arm", "unknown output", "`2 hx`"):
        assert words in said


@pytest.mark.parametrize(
    ("old", "new", "where", "write"),
    [
        ("permuted block: 8", "permuted block: 6", "permuted block", ""),
        (
            "{stratified: [FEMALE], permuted block: 8}",
            "{stratified: [FEMALE]}",
            "design.randomisation.permuted block",
            "",
        ),
        (
            "{stratified: [FEMALE], permuted block: 8}",
            "permuted block",
            "design.randomisation",
            "",
        ),
        ("stratified: [FEMALE]", "stratified: [FEMAL]", "stratified.0", "FEMALE"),
        (
            "low: 1, high with food: 2, placebo: 1",
            "low: 1, high with food: 2",
            "design.allocation",
            "",
        ),
        ("subjects: 60", "subjects: 2", "subjects", ""),
        ("window: 2 h", "window: 84 h", "visits.trough.window", ""),
        (
            "by: odds ratio, level: 0.9",
            "by: difference of means",
            "analysis.2.by",
            "",
        ),
        (
            "on: peak, by: ratio of geometric means",
            "on: peak, by: risk ratio",
            "analysis.0.by",
            "",
        ),
        (
            "on: rise\n",
            "on: when\n",
            "analysis.3.by",
            "",
        ),
        ("adjust: [baseline, AGE]", "adjust: [AGEE]", "analysis.3.adjust.0", "AGE"),
        (
            "day 0, day 7, day 14",
            "day 7, day 14",
            "endpoints.rise.baseline",
            "",
        ),
        (
            "take: maximum, within: day 7 to day 8",
            "take: maximum, within: day 3 to day 4",
            "endpoints.peak.within",
            "",
        ),
        (
            "within: day 7 to day 8",
            "within: day 7 to day 8, at: day 7",
            "endpoints.peak.within",
            "",
        ),
        (
            "take: time to, low: 0.2}",
            "take: time to}",
            "endpoints.when.low",
            "",
        ),
        (
            "take: time to, low: 0.2}",
            "take: time in range, low: 2}",
            "endpoints.when.high",
            "",
        ),
        (
            "take: maximum, above",
            "take: maximum, low: 1, above",
            "endpoints.high.low",
            "",
        ),
        (
            "take: time to, low: 0.2}",
            "take: time in range, low: 2, high: 1}",
            "endpoints.when.high",
            "",
        ),
        ("value: 75.4 %", "value: 75.4", "published.0.value", "75.4 %"),
        ("within: 5 pp", "within: 5 %", "published.0.within", "5 pp"),
        (
            "within: [0.5, 1 mg/L]",
            "within: [0.9, 1 mg/L]",
            "published.1.within",
            "",
        ),
        (
            "arm: low\n    endpoint: peak",
            "endpoint: peak",
            "published.1.arm",
            "",
        ),
        ("comparison: main", "comparison: man", "published.2.comparison", "main"),
        ("where: WT >=", "where: WTT >=", "published.1.where", "WT"),
        ("where: WT >=", "where: WT >= >=", "published.1.where", None),
        (
            "comparison: main,",
            "comparison: main, where: AGE > 65,",
            "published.2.where",
            "",
        ),
        (
            "comparison: main",
            "comparison: main, endpoint: peak",
            "published.2",
            "",
        ),
        (
            "statistic: median",
            "statistic: share",
            "published.1.statistic",
            "",
        ),
        ("seed: 7", "seed: -7", "seed", ""),
        ("seed: 7", "seed: 7.5", "seed", ""),
        ("first 20", "some", "keep.trajectories", ""),
        (
            'eta.KA: "0.5 * eta.KA"',
            "eta.K: 0",
            "arms.high with food.set.eta.K",
            "",
        ),
        (
            'eta.KA: "0.5 * eta.KA"',
            "eta.KA: 0.5 * (",
            "arms.high with food.set.eta.KA",
            None,
        ),
        ("WT: 70", "WT: 0.5 * AGEE", "arms.high with food.set.WT", "AGE"),
        ("protocol: doses", "protocol: a/b c", "protocol", "a-b-c"),
        (
            "compare: high with food with low",
            "compare: high vs low",
            "analysis.0.compare",
            None,
        ),
        (
            "name: main",
            "name: low with placebo on high by odds ratio",
            "analysis.3.name",
            None,
        ),
        ("replicates: 4", "block: 0", "block", ""),
        ("method: explicit", "method: euler", "numerics.method", None),
        ("occasions: day 7", "occasions: 7", "occasions", ""),
        (
            "model: one-compartment-oral",
            "model: one-compartment-orl",
            "model",
            "one-compartment-oral",
        ),
        ("cohort: adults", "cohort: adlts", "cohort", "adults"),
    ],
)
def test_fault(old, new, where, write):
    text = swapped(old, new)
    faults = faults_in(text)
    line = SHEET[: SHEET.index(old)].count("\n") + 1
    fitting = [fault for fault in faults if fault.at.endswith(where)]
    assert fitting, faults
    # What stands on another line of the same sheet points there.
    assert fitting[0].line in {line, *range(line - 1, line + 2)} or where.endswith(
        "baseline"
    )
    if write is not None:
        assert write in {fault.write for fault in fitting}, fitting
    assert len(str(fitting[0])) < 2000, "all models of the library, and no more"


def test_one_fault_is_told_once():
    faults = faults_in(swapped("50 mg every", "50 mgg every"))
    assert len(faults) == 1
    faults = faults_in(swapped("low: {title", "low: {titel"))
    assert len(faults) == 1
    faults = faults_in(swapped("profile: {at:", "profile: {att:"))
    assert {fault.at for fault in faults} == {"visits.profile.att", "visits.profile.at"}


@pytest.mark.parametrize("key", ["protocol", "model", "cohort", "subjects", "arms"])
def test_required_keys_are_missed(key):
    data = re.sub(rf"^{key}:.*\n((  .*)?\n)*", "", SHEET.strip() + "\n", flags=re.M)
    if key == "arms":
        data = re.sub(r"^arms:\n(  .*\n)+", "", SHEET, flags=re.M)
    faults = faults_in(data)
    assert any(f.at == key and f.found == "missing" for f in faults), faults


def test_model_beside_the_sheet_tells_its_own_faults(tmp_path):
    (tmp_path / "mine.yaml").write_text("model: mine\nequations: d/dt(x) = -k*x\n")
    text = swapped("model: one-compartment-oral", "model: mine")
    with pytest.raises(ProtocolError) as caught:
        load(text, folder=tmp_path)
    faults = caught.value.faults
    assert any("mine.yaml" in fault.source for fault in faults)


def test_cohort_beside_the_sheet_names_its_covariates(tmp_path):
    (tmp_path / "few.yaml").write_text(
        "cohort: few\ncovariates: {WT: {unit: kg, constant: 70}, GENE: {constant: 1}}\n"
        'derive: {SIZE: "WT/70"}\n'
    )
    text = swapped("cohort: adults", "cohort: few").replace("FEMALE", "GENE")
    text = text.replace("WT: 70", "WT: 70 * SIZE").replace("baseline, AGE", "SIZE")
    assert load(text, folder=tmp_path).design.allocation.strata == ("GENE",)


def test_cohort_and_model_may_share_the_protocols_name(tmp_path):
    """Each kind is found by what it is, not by its file's name alone."""
    covariates = "{WT: {unit: kg, constant: 70}, FEMALE: {categorical: {0: 1}}}"
    (tmp_path / "who.yaml").write_text(f"cohort: x\ncovariates: {covariates}\n")
    text = swapped("cohort: adults", "cohort: x").replace("baseline, AGE", "WT")
    (tmp_path / "x.yaml").write_text(text)
    protocol = load_protocol(tmp_path / "x")
    assert protocol.analysis.comparisons[-1].adjust == ("WT",)
    (tmp_path / "who.yaml").unlink()
    with pytest.raises(ProtocolError, match="`x`, an unknown cohort"):
        load_protocol(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("section", "first", "second", "entry"),
    [
        ("endpoints", "last", "Last", "{of: conc, take: value, at: day 14}"),
        ("endpoints", "last one", "last-one", "{of: conc, take: value, at: day 7}"),
        ("arms", "high with food", "high with_food", "{}"),
        ("visits", "trough", "TROUGH", "{at: day 1, measure: [conc]}"),
    ],
)
def test_names_that_are_written_alike_are_refused(section, first, second, entry):
    text = SHEET.replace("  last: {", f"  {first}: {{") if "last" in first else SHEET
    text = text.replace(f"\n{section}:\n", f"\n{section}:\n  {second}: {entry}\n")
    (fault,) = (f for f in faults_in(text) if "written like" in f.found)
    line = text[: text.index(f"  {second}:")].count("\n") + 1
    assert fault.at == f"{section}.{first}"
    assert f"`{first}`" in fault.found
    assert f"`{second}` on line {line}" in fault.found
    assert fault.line == text[: text.index(f"  {first}:")].count("\n") + 1


def test_arms_may_differ_by_nothing_but_their_name():
    text = """
protocol: twins
model: one-compartment-oral
cohort: adults
subjects: 4
arms: {a: {dose: 50 mg}, b: {dose: 50 mg}}
"""
    protocol = load(text)
    assert protocol.arms[0].regimen == protocol.arms[1].regimen
    assert protocol.grid[-1] > 0


MODELS = {
    "untreated": "d/dt(x) = -k*x\ninit(x) = 10",
    "algebra": "x = 10 * exp(-k*t) * (1 + eta.k)",
}


@pytest.mark.parametrize("name", MODELS)
def test_models_without_doses_or_states(name, tmp_path):
    body = MODELS[name].replace("\n", "\n  ")
    (tmp_path / f"{name}.yaml").write_text(
        f"model: {name}\nparameters: {{k: {{value: 0.1, unit: 1/h}}}}\n"
        + ("random: [{of: k, variance: 0.1}]\n" if name == "algebra" else "")
        + f"equations: |\n  {body}\noutputs: {{x: {{unit: '1'}}}}\n"
    )
    text = f"""
protocol: bare
model: {name}
cohort: adults
subjects: 4
arms: {{slow: {{set: {{k: 0.05}}}}, usual: {{}}}}
visits: {{end: {{at: day 1, measure: [x]}}}}
endpoints: {{x: {{of: x, take: value, at: day 1}}}}
"""
    protocol = load(text, folder=tmp_path)
    assert protocol.arms[0].regimen is None
    assert protocol.endpoints[0].unit == "1"
    if name == "algebra":
        dosed = text.replace("usual: {}", "usual: {dose: 5 mg}")
        with pytest.raises(ProtocolError, match="no compartments"):
            load(dosed, folder=tmp_path)
    cycled = text.replace("at: day 1}}", "within: cycle 1}}")
    with pytest.raises(ProtocolError, match="no cycles"):
        load(cycled, folder=tmp_path)


def test_observed_points_are_read_beside_the_sheet_only(tmp_path):
    (tmp_path / "points.csv").write_text("ID,T,Y\n1,1,500\n1,2,NA\n2,0.5,20\n")
    text = SHEET + (
        "observed: {conc: {file: points.csv, time: T, time unit: d, value: Y, "
        "unit: ug/L, arm: low}}\n"
    )
    (observed,) = load(text, folder=tmp_path).evidence.observed
    assert observed.time == (24, 12)
    assert observed.value == pytest.approx((0.5, 0.02))
    for old, new, words in (
        ("points.csv", "../points.csv", "not a CSV file beside the sheet"),
        ("points.csv", "/etc/passwd", "not a CSV file beside the sheet"),
        ("points.csv", "point.csv", "points.csv"),
        ("value: Y", "value: Z", "unknown column"),
        ("unit: ug/L", "unit: ug/kg", "ug/kg"),
        ("arm: low}", "arm: lwo}", "unknown arm"),
        ("observed: {conc", "observed: {cnc", "unknown output"),
    ):
        with pytest.raises(ProtocolError, match=re.escape(words)):
            load(text.replace(old, new), folder=tmp_path)
    (tmp_path / "points.csv").write_text("T,Y\n1,high\n")
    with pytest.raises(ProtocolError, match="row 2 has `high` under Y"):
        load(text, folder=tmp_path)


def test_unknown_protocols_are_refused(tmp_path):
    with pytest.raises(ProtocolError) as caught:
        load_protocol("docetaxel-doze")
    assert caught.value.faults[0].write == "docetaxel-dose"
    (tmp_path / "broken.yaml").write_text("protocol: [")
    with pytest.raises(SheetError):
        load_protocol(tmp_path / "broken.yaml")


def _values(depth=2):
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 10**12),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["day 1", "50 mg every 1 h x 3", "conc", "cycle 1", "low"]),
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["at", "of", "a", "dose", "0"]), inner),
        ),
        max_leaves=6,
    )


PARSED = parse_sheet(SHEET, source=str(ROOT / "x.yaml"))
ENTRIES = sorted(PARSED.lines, key=str)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ENTRIES), _values())
def test_no_sheet_does_worse_than_be_refused(path, value):
    data = copy.deepcopy(PARSED.data)
    node = data
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    text = json.dumps(data, ensure_ascii=True)
    with contextlib.suppress(ProtocolError, SheetError):
        load(text)


@pytest.mark.parametrize(
    ("subjects", "more", "message"),
    [
        ("{low: 10}", "", "silent on high"),
        ("{low: 10, high: 20, hihg: 3}", "", "`hihg`"),
        ("{low: 10, high: 0}", "", "1 or more"),
        ("{low: 10, high: 2.5}", "", "a whole number, or one for each arm"),
        (
            "{low: 10, high: 20}",
            "design: {allocation: {low: 1, high: 2}}",
            "one or the",
        ),
        ("{low: 9, high: 9}", "design: {randomisation: simple}", "one or the other"),
    ],
)
def test_numbers_by_arm_that_cannot_be_are_told(sheets, subjects, more, message):
    sheets.change("small", "subjects: 30", f"subjects: {subjects}\n{more}")
    assert message in " ".join(map(str, sheets.refused().values()))


def test_an_equation_that_an_arm_sets_is_read_as_no_unit(sheets, monkeypatch):
    """`5*L` is an equation of L, not five litres; no registry of units is made."""
    monkeypatch.setattr("vtrial.units.computed", lambda code: pytest.fail(code))
    sheets.change("body", "tvKA: {value: 1.0", "L: {value: 1.0}\n  tvKA: {value: 1.0")
    sheets.change("body", "KA = tvKA", "KA = tvKA * L")
    sheets.change(
        "small", '"50 mg every 24 h x 2"', '"50 mg", set: {tvV: 5*L, L: 2*WT}'
    )
    assert [name for name, _ in sheets.load().arms[0].set] == ["tvV", "L"]
