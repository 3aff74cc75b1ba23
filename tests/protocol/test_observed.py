"""What was observed: which files and columns an entry asks for, and what is refused."""

import re
import statistics

import pytest

from vtrial.errors import ProtocolError
from vtrial.protocol import build_protocol
from vtrial.sheets.sheet import parse_sheet

SHEET = """
protocol: seen
model: drug
cohort: folk
subjects: 20
arms:
  low: {dose: "1 mg/kg"}
  high: {dose: 200 mg, set: {WT: 70}}
visits:
  blood: {at: "1 h, 4 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum}
  exposed: {of: conc, take: maximum, above: 1}
  grade: {of: conc, take: maximum, grades: [1, 2, 3]}
  relief: {of: conc, take: time to, low: 1}
  twice: {equals: 2 * exposed}
"""
MODEL = """
model: drug
covariates: {WT: {unit: kg, typical: 70}}
parameters: {CL: {value: 1, unit: L/h}, V: {value: 10, unit: L}}
equations: |
  d/dt(central) = -CL/V * central * (WT/70)
  conc = central / V
outputs:
  conc: {unit: mg/L}
  other: {equals: central, unit: mg}
"""
COHORT = "cohort: folk\ncovariates: {WT: {unit: kg, uniform: [50, 90]}}\n"
POINTS = "ID,TIME,DV,WT\n1,1,2.5,60\n1,4,1.5,\n2,1,3.5,70\n2,4,NA,70\n"


@pytest.fixture
def load(tmp_path):
    """Return what loads the sheet with an entry of `observed` and a file."""
    (tmp_path / "drug.yaml").write_text(MODEL)
    (tmp_path / "folk.yaml").write_text(COHORT)

    def loaded(entry, points=POINTS):
        (tmp_path / "seen.csv").write_text(points)
        text = f"{SHEET}observed: {{{entry}}}\n"
        return build_protocol(parse_sheet(text, source=str(tmp_path / "seen.yaml")))

    return loaded


def test_corrected_points_know_their_subjects(load):
    protocol = load("conc: {file: seen.csv, arm: low, correct: prediction}")
    (seen,) = protocol.evidence.observed
    assert seen.subject == (0, 0, 1)
    assert seen.covariates == (("WT", (60.0, 70.0)),)
    assert (seen.bound, seen.logarithms) == (0.0, False)
    assert protocol.keep.predictions == "prediction"
    entry = "conc: {file: seen.csv, arm: low, correct: prediction, lower bound: %s}"
    assert load(entry % "-500 ug/L").evidence.observed[0].bound == pytest.approx(-0.5)


def test_what_an_arm_sets_need_not_be_known(load):
    entry = "conc: {file: seen.csv, arm: high, correct: prediction and variability}"
    protocol = load(entry, "ID,TIME,DV\na,1,2\n")
    assert protocol.evidence.observed[0].covariates == ()
    assert protocol.keep.predictions == "prediction and variability"


def test_points_may_be_categories_and_grades(load):
    (seen,) = load("conc: {file: seen.csv, grades: [1, 2, 3]}").evidence.observed
    assert seen.grades == (1.0, 2.0, 3.0)
    (seen,) = load("conc: {file: seen.csv, categories: true}").evidence.observed
    assert seen.categories
    assert seen.value == (2.5, 1.5, 3.5)


def test_grades_may_begin_at_a_limit_of_normal(load):
    entry = "conc: {file: seen.csv, grades: bilirubin, upper limit: 2 mg/L}"
    (seen,) = load(entry).evidence.observed
    assert seen.grades == (2.0, 3.0, 6.0, 20.0)


def test_outcomes_are_read_by_what_their_endpoint_is(load):
    protocol = load(
        "relief: {file: seen.csv, time unit: d, event: EVENT, arm: low}",
        "TIME,EVENT\n1,1\n2,0\nNA,1\n",
    )
    (seen,) = protocol.evidence.outcomes
    assert (seen.endpoint, seen.arm) == ("relief", "low")
    assert (seen.value, seen.event) == ((24.0, 48.0), (1.0, 0.0))
    assert not protocol.keep.measurements
    for name in ("exposed", "grade", "twice"):
        protocol = load(f"{name}: {{file: seen.csv, value: X}}", "X\n0\n1\n1\n")
        assert protocol.evidence.outcomes[0].value == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("entry", "points", "words"),
    [
        ("conc: {file: seen.csv, correct: prediction}", POINTS, "observed.conc.arm is"),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction, subject: WHO}",
            POINTS,
            "unknown column",
        ),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction}",
            "ID,TIME,DV\n1,1,2\n",
            "without a column WT, which the prediction of a point asks for",
        ),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction}",
            "ID,TIME,DV,WT\n1,1,2,60\n2,1,2,\n",
            "without WT of subject 2",
        ),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction}",
            "ID,TIME,DV,WT\n1,1,2,60\n1,2,2,61\n",
            "row 3 has `61` under WT; it must be a table with one value for each",
        ),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction}",
            "ID,TIME,DV,WT\n1,1,2,heavy\n",
            "row 2 has `heavy` under WT",
        ),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction}",
            "ID,TIME,DV,WT\n,1,2,60\n",
            "row 2 has `` under ID",
        ),
        ("conc: {file: seen.csv, correct: predictions}", POINTS, "one of prediction"),
        ("conc: {file: seen.csv, lower bound: 1}", POINTS, "nothing is corrected"),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction, logarithms: true, "
            "lower bound: 1}",
            POINTS,
            "logarithms have no bound",
        ),
        (
            "conc: {file: seen.csv, arm: low, correct: prediction, grades: [1, 2]}",
            POINTS,
            "given with `correct`",
        ),
        ("other: {file: seen.csv, grades: [1, 2]}", POINTS, "no visit measures"),
        ("conc: {file: seen.csv, grades: bilirubin}", POINTS, "upper limit of normal"),
        (
            "conc: {file: seen.csv, grades: [1, 2], upper limit: 2 mg/L}",
            POINTS,
            "these grades do not begin at it",
        ),
        ("conc: {file: seen.csv, event: DV}", POINTS, "`conc` is an output"),
        ("peak: {file: seen.csv}", POINTS, "whose `maximum` is a number"),
        ("exposed: {file: seen.csv}", POINTS, "row 2 has `2.5` under DV"),
        ("exposed: {file: seen.csv, unit: mg/L}", POINTS, "`exposed` is an endpoint"),
        ("relief: {file: seen.csv, value: DV}", POINTS, "is a time to an event"),
        ("relief: {file: seen.csv, event: DV}", POINTS, "a table with 0 or 1 there"),
        (
            "twice: {file: seen.csv}",
            "DV\n" + "\n".join(map(str, range(13))),
            "with 13 different values",
        ),
        ("pek: {file: seen.csv}", POINTS, "unknown output or endpoint"),
        (
            "exposed: [{file: seen.csv, value: ID}, {file: seen.csv, value: ID, "
            "arm: low}]",
            "ID\n1\n",
            "as an entry before it",
        ),
    ],
)
def test_what_cannot_be_observed_is_refused(load, entry, points, words):
    with pytest.raises(ProtocolError, match=re.escape(words)):
        load(entry, points)


NONMEM = """ID,TIME,AMT,EVID,MDV,DV,WT
1,0,200,1,1,0,60
1,0,.,0,0,5.1,60
1,2,.,0,0,3.9,60
1,2,200,1,1,0,60
1,4,.,0,0,7.0,60
2,0,200,1,1,0,70
2,0,.,0,0,4.9,70
2,2,.,0,0,3.8,70
2,3,.,2,0,50,70
2,4,.,0,1,99,70
2,5,.,0,0,N/A,70
3,0,.,0,0,5.0,80
3,2,.,0,0,4.0,80
3,4,.,0,0,6.8,80
"""


def medians(seen):
    """Return the median of the values at each time."""
    at = {time: [] for time in sorted(seen.time)}
    for time, value in zip(seen.time, seen.value, strict=True):
        at[time].append(value)
    return {time: statistics.median(values) for time, values in at.items()}


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_observed_nonmem_file(load, case):
    """Doses, other events, MDV = 1 and missing values are no observations."""
    header, rest = NONMEM.split("\n", 1)
    entry = "conc: {file: seen.csv, arm: high, correct: prediction}"
    if case is str.lower:
        header = header.lower().replace("id,", "ID,")
        entry = entry.replace("arm:", "time: time, value: dv, arm:")
    (seen,) = load(entry, f"{header}\n{rest}").evidence.observed
    assert medians(seen) == {0.0: 5.0, 2.0: 3.9, 4.0: 6.9}
    assert seen.subject == (0, 0, 0, 1, 1, 2, 2, 2)


def test_observed_nonmem_file_without_evid(load):
    points = "ID,TIME,AMT,DV\n1,0,200,0\n1,1,.,3\n1,2,0,2\n1,2,100,.\n"
    (seen,) = load("conc: {file: seen.csv}", points).evidence.observed
    assert (seen.time, seen.value) == ((1.0, 2.0), (3.0, 2.0))


def test_observed_nonmem_file_with_dates(load):
    """Times count from the subject's first record, which is its dose."""
    points = "ID,DATE,TIME,AMT,DV\n1,3/1/2024,22:00,200,.\n1,3/2/2024,0:30,.,3\n"
    (seen,) = load("conc: {file: seen.csv, time unit: d}", points).evidence.observed
    assert seen.time == (2.5,)


def test_observed_nonmem_file_of_events(load):
    """Rows without a measurement are nobody's end; an amount alone is no dose here."""
    entry = "relief: {file: seen.csv, event: DV}"
    points = "ID,TIME,AMT,MDV,DV\n1,0,100,1,0\n1,7,100,0,1\n2,9,100,0,0\n"
    (seen,) = load(entry, points).evidence.outcomes
    assert (seen.value, seen.event) == ((7.0, 9.0), (1.0, 0.0))


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (
            "ID,TIME,DV\n1,1,2,5\n",
            "seen.csv:2: a row is 4 cells where the header has 3",
        ),
        ("ID,TIME,DV\n1,1\n", "seen.csv:2: a row is 2 cells where the header has 3"),
        ("ID,TIME,DV,DV\n1,1,2,3\n", "`DV`, 2 times"),
        ('ID,TIME,DV\n1,1,"2,5"\n', "row 2 has `2,5` under DV"),
        ("ID,TIME,DV,EVID\n1,1,2,7\n", "EVID of subject 1 is `7`"),
        ("ID,TIME,DV,AMNT\n1,1,2,7\n", "`AMNT`"),
        ("ID,TIME,DV,AMT\n1,1,2,7\n", "all of whose 1 rows are doses or MDV"),
        ("ID,TIME,DV\n1,1,BLQ\n", "row 2 has `BLQ` under DV"),
        ("ID,TIME,DV\n1,8:00,2\n1,3,3\n", "row 2 has `8:00` under TIME"),
        ("", "the table is empty"),
    ],
)
def test_broken_tables_of_what_was_observed(load, points, words):
    with pytest.raises(ProtocolError, match=re.escape(words)):
        load("conc: {file: seen.csv}", points)


def test_spreadsheets_of_what_was_observed(load):
    (seen,) = load(
        "conc: {file: seen.csv}", "ID;TIME;DV;\n1;0,5;2,5;\n;;;\n"
    ).evidence.observed
    assert (seen.time, seen.value) == ((0.5,), (2.5,))
