"""Event tables in NONMEM's format: meaning of the columns, and every wrong row."""

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vtrial.dosing.table import read_events, read_parameters
from vtrial.errors import DataError
from vtrial.sheets.csv_table import MAX_FAULTS

STATES = ("depot", "central")


@pytest.fixture
def read(tmp_path):
    def reader(text, **options):
        path = tmp_path / "events.csv"
        path.write_text(text)
        return read_events(path, states=STATES, **options)

    return reader


@pytest.fixture
def refused(read):
    def reader(text, **options):
        with pytest.raises(DataError) as caught:
            read(text, **options)
        return caught.value.faults

    return reader


def doses(events, subject=0):
    """List (time, amount, event) of a subject's doses."""
    given = events.doses
    columns = given.time[subject], given.amount[subject], given.event[subject]
    return [row for row in zip(*map(list, columns), strict=True) if np.isfinite(row[0])]


def test_a_table_as_arrays(read):
    events = read(
        "ID,TIME,AMT,EVID,CMT,RATE,II,ADDL,SS,DV,MDV,WT,NOTE\n"
        "7,0,100,1,1,0,24,2,0,.,1,70,a\n"
        "7,0,0,0,2,0,0,0,0,1.5,0,70,b\n"
        "7,30,0,2,2,0,0,0,0,.,1,70,c\n"
        "9,1,50,1,2,25,0,0,0,.,1,80,d\n",
        covariates=("WT",),
    )
    assert events.identity.tolist() == [7, 9]
    assert events.identity.dtype == np.int64
    assert doses(events, 0) == [(0, 100, 1), (24, 100, 1), (48, 100, 1)]
    assert doses(events, 1) == [(1, 50, 1)]
    assert events.doses.compartment[:, 0].tolist() == [0, 1]
    assert events.doses.rate[1, 0] == 25
    assert events.times.time.tolist() == [[0, 30], [np.inf, np.inf]]
    assert events.row.tolist() == [[1, 2], [-1, -1]]
    assert events.times.rank.tolist() == [[1, 2], [0, 0]]
    assert events.doses.rank[0].tolist() == [0, 0, 0]
    assert events.covariates["WT"].tolist() == [[70], [80]]
    assert events.periods.tolist() == [[-np.inf], [-np.inf]]
    assert events.data["NOTE"].tolist() == list("abcd")


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("ID,TIME,AMT\n1,0,100\n1,2,0\n1,3,.\n", [1]),
        ("ID,TIME,AMT,RATE,SS,II\n1,0,0,10,1,0\n1,2,0,0,0,0\n", [1]),
        ("ID,TIME,AMT,MDV\n1,0,100,1\n1,2,0,1\n", [1]),
    ],
)
def test_events_are_derived_where_evid_is_not_given(read, text, events):
    table = read(text)
    assert table.doses.event[0].tolist() == events
    assert table.times.time.shape[1] == text.count("\n") - 2


def test_compartments_by_number_or_name(read):
    events = read(
        "ID,TIME,AMT,EVID,CMT\n1,0,5,1,central\n1,1,5,1,2\n1,2,5,1,0\n1,3,5,1,.\n"
    )
    assert events.doses.compartment.tolist() == [[1, 1, 0, 0]]


def test_days_become_hours(read):
    events = read(
        "ID,TIME,AMT,EVID,RATE,II,ADDL\n1,1,48,1,24,2,1\n1,2.5,0,0,0,0,0\n", time="d"
    )
    assert events.doses.time.tolist() == [[24, 72]]
    assert events.doses.rate.tolist() == [[1, 1]]
    assert events.times.time.tolist() == [[60]]


def test_modelled_rates_have_no_unit(read):
    events = read("ID,TIME,AMT,EVID,RATE\n1,0,1,1,-1\n1,1,1,1,-2\n", time="d")
    assert events.doses.rate.tolist() == [[-1, -2]]


def test_steady_state_is_that_of_the_first_dose(read):
    events = read("ID,TIME,AMT,EVID,II,ADDL,SS\n1,0,100,1,12,2,1\n")
    assert events.doses.steady.tolist() == [[1, 0, 0]]
    assert events.doses.interval.tolist() == [[12, 12, 12]]


def test_constant_infusion_at_steady_state(read):
    events = read("ID,TIME,AMT,EVID,RATE,II,SS\n1,0,0,1,10,0,1\n")
    assert events.doses.amount.tolist() == [[0]]
    assert events.doses.rate.tolist() == [[10]]


@pytest.mark.parametrize("reset", ["3,0,0,0", "4,7,0,0", "1,7,9,1"])
def test_a_reset_cancels_what_is_pending(read, reset):
    event, amount, interval, steady = reset.split(",")
    events = read(
        "ID,TIME,EVID,AMT,II,ADDL,SS\n"
        "1,0,1,100,10,5,0\n"
        f"1,20,{event},{amount},{interval},0,{steady}\n"
        "1,25,1,50,10,1,0\n"
    )
    expected = [(0, 100, 1), (10, 100, 1), (20, float(amount), int(event))]
    assert doses(events) == [*expected, (25, 50, 1), (35, 50, 1)]


def test_a_reset_cancels_nothing_of_another_subject(read):
    events = read("ID,TIME,EVID,AMT,II,ADDL\n1,0,1,9,10,2\n2,0,3,0,0,0\n2,1,1,8,0,0\n")
    assert [t for t, *_ in doses(events, 0)] == [0, 10, 20]
    assert doses(events, 1) == [(0, 0, 3), (1, 8, 1)]


def test_added_doses_come_before_a_later_record_at_their_time(read):
    events = read(
        "ID,TIME,EVID,AMT,II,ADDL\n1,0,1,9,10,1\n1,10,0,0,0,0\n1,10,1,5,0,0\n"
    )
    assert events.doses.amount.tolist() == [[9, 9, 5]]
    assert events.doses.rank.tolist() == [[0, 0, 2]]
    assert events.times.rank.tolist() == [[1]]


CHANGING = "ID,TIME,EVID,AMT,WT\n1,0,1,9,70\n1,4,0,0,70\n1,8,0,0,80\n1,9,1,9,60\n"


def test_covariates_hold_on_the_interval_that_ends_at_a_record(read):
    events = read(CHANGING, covariates=("WT",))
    assert events.covariates["WT"].tolist() == [[70, 80, 60]]
    assert events.periods.tolist() == [[-np.inf, 4, 8]]
    assert events.times.period.tolist() == [[0, 1]]
    assert events.doses.period.tolist() == [[0, 2]]


def test_or_from_the_record_on(read):
    events = read(CHANGING, covariates=("WT",), convention="forward")
    assert events.periods.tolist() == [[-np.inf, 8, 9]]
    assert events.doses.period.tolist() == [[0, 2]]


def test_subjects_with_fewer_changes_are_padded(read):
    events = read(CHANGING + "2,0,0,0,50\n", covariates=("WT",))
    assert events.covariates["WT"].tolist() == [[70, 80, 60], [50, 50, 50]]
    assert events.periods[1].tolist() == [-np.inf, np.inf, np.inf]


def test_comments_and_empty_lines_are_left_out(read):
    events = read("C,ID,TIME,AMT\n.,1,0,5\nC,1,1,5\n\n#,1,2,5\n.,1,3,7\n")
    assert doses(events) == [(0, 5, 1), (3, 7, 1)]
    assert len(events.data) == 2


def test_identities_may_be_words(read):
    assert read("ID,TIME,AMT\nann,0,5\nbob,0,5\n").identity.tolist() == ["ann", "bob"]


HEADER = "ID,TIME,AMT,EVID,CMT,RATE,II,ADDL,SS,WT\n"


@pytest.mark.parametrize(
    ("row", "at", "found"),
    [
        ("1,5,10,0,1,0,0,0,0,70", "AMT", "no dose"),
        ("1,5,0,0,1,3,0,0,0,70", "RATE", "no dose"),
        ("1,5,0,0,1,0,9,0,1,70", "SS", "no dose"),
        ("1,5,0,0,1,0,9,2,0,70", "ADDL", "no dose"),
        ("1,5,0,1,1,0,0,0,0,70", "AMT", "`0`"),
        ("1,5,.,1,1,0,0,0,0,70", "AMT", "missing"),
        ("1,5,,4,1,0,0,0,0,70", "AMT", "missing"),
        ("1,5,NaN,1,1,0,0,0,0,70", "AMT", "missing"),
        ("1,5,ten,1,1,0,0,0,0,70", "AMT", "`ten`"),
        ("1,5,inf,1,1,0,0,0,0,70", "AMT", "`inf`"),
        ("1,5,-10,1,1,0,0,0,0,70", "AMT", "`-10`"),
        ("1,-5,0,0,1,0,0,0,0,70", "TIME", "`-5`"),
        ("1,.,0,0,1,0,0,0,0,70", "TIME", "missing"),
        ("1,12:30,0,0,1,0,0,0,0,70", "TIME", "clock"),
        ("1,2020-01-05,0,0,1,0,0,0,0,70", "TIME", "date"),
        ("1,5,10,7,1,0,0,0,0,70", "EVID", "`7`"),
        ("1,5,10,9,1,0,0,0,0,70", "EVID", "`9`"),
        ("1,5,10,1.5,1,0,0,0,0,70", "EVID", "`1.5`"),
        ("1,5,10,1,3,0,0,0,0,70", "CMT", "`3`"),
        ("1,5,10,1,-1,0,0,0,0,70", "CMT", "`-1`"),
        ("1,5,10,1,1.5,0,0,0,0,70", "CMT", "`1.5`"),
        ("1,5,10,1,cental,0,0,0,0,70", "CMT", "`cental`"),
        ("1,5,0,2,-1,0,0,0,0,70", "CMT", "turns a compartment off"),
        ("1,5,10,1,1,-3,0,0,0,70", "RATE", "`-3`"),
        ("1,5,10,1,1,0,-1,0,0,70", "II", "`-1`"),
        ("1,5,10,1,1,0,0,2,0,70", "ADDL", "without an interval"),
        ("1,5,10,1,1,0,9,-2,0,70", "ADDL", "`-2`"),
        ("1,5,10,1,1,0,9,1.5,0,70", "ADDL", "`1.5`"),
        ("1,5,10,1,1,0,0,0,1,70", "SS", "without an interval"),
        ("1,5,10,1,1,0,9,0,3,70", "SS", "`3`"),
        ("1,5,0,1,1,5,9,2,1,70", "ADDL", "constant infusion"),
        ("1,5,0,0,1,0,0,0,0,.", "WT", "missing"),
        (".,5,0,0,1,0,0,0,0,70", "ID", "missing"),
    ],
)
def test_a_wrong_row(refused, row, at, found):
    good = "1,1,10,1,1,0,0,0,0,70\n"
    faults = refused(HEADER + good + row + "\n", covariates=("WT",))
    whose = "" if row.startswith(".") else " of subject 1"
    mine = [f for f in faults if f.at == (at if at == "ID" else f"{at}{whose}")]
    assert mine[0].line == 3
    assert found in mine[0].found
    assert mine[0].source.endswith("events.csv")
    assert all(fault.allowed for fault in faults)


def test_all_wrong_rows_at_once(refused):
    text = HEADER + "1,0,-1,1,1,0,0,0,0,70\n1,1,5,1,9,0,0,0,0,70\n1,0,5,7,1,0,0,0,0,.\n"
    faults = refused(text, covariates=("WT",))
    expected = [(2, "AMT"), (3, "CMT"), (4, "EVID"), (4, "TIME"), (4, "WT")]
    wanted = [(line, f"{name} of subject 1") for line, name in expected]
    assert sorted((f.line, f.at) for f in faults) == wanted
    assert [f.line for f in faults] == [2, 3, 4, 4, 4]


def test_many_wrong_rows_are_counted(refused):
    rows = "".join(f"1,{t},-1,1,1,0,0,0,0,70\n" for t in range(300))
    faults = refused(HEADER + rows)
    assert len(faults) == MAX_FAULTS + 1
    assert "250 more" in faults[-1].found
    assert faults[0].line == 2


def test_rows_in_their_order(refused):
    faults = refused("ID,TIME,AMT\n1,5,1\n1,3,0\n2,0,1\n1,6,1\n")
    assert {(f.line, f.at) for f in faults} == {(3, "TIME of subject 1"), (5, "ID")}


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("addll", "ADDL"),
        ("ADDLL", "ADDL"),
        ("Amt", "AMT"),
        ("cmt", "CMT"),
        ("rate", "RATE"),
        ("AMNT", "AMT"),
        ("EVDI", "EVID"),
    ],
)
def test_misspelt_columns(refused, name, write):
    faults = refused(f"ID,TIME,{name}\n1,0,0\n")
    assert (faults[0].line, faults[0].write) == (1, write)


def test_misspelt_and_missing_covariates(refused):
    faults = refused("ID,TIME,weight\n1,0,70\n", covariates=("WEIGHT", "AGE"))
    assert {(f.at, f.write) for f in faults} == {("a column", "WEIGHT"), ("AGE", "")}


def test_time_by_another_case(refused):
    assert refused("ID,Time,AMT\n1,0,5\n")[0].write == "TIME"


def test_other_columns_are_carried(read):
    extra = "ROW,C1,NUM,LAGT,BIOAV,MODE,RAT2,SEX,OCC,NDV,LDV,MTC,DOSE,DAY,STUDY"
    events = read(f"ID,TIME,AMT,{extra}\n1,0,5{',1' * 15}\n")
    assert set(extra.split(",")) <= set(events.data.columns)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "empty"),
        ("ID,TIME,AMT\n", "without a row"),
        ("ID TIME AMT\n1 0 5\n", "one column"),
        ("ID|TIME|AMT\n1|0|5\n", "one column"),
        ("ID,TIME,ID\n1,0,5\n", "2 times"),
        ("ID,TIME,\n1,0,5\n", "empty"),
        ("ID,TIME\n1,0,5\n", "3 cells where the header has 2"),
        ("TIME,AMT\n0,5\n", "missing"),
    ],
)
def test_what_is_no_table(refused, text, found):
    assert any(found in fault.found for fault in refused(text))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="not readable"):
        read_events(tmp_path / "none.csv", states=STATES)
    (tmp_path / "latin.csv").write_bytes(b"ID,TIME\n\xe9,0\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_events(tmp_path / "latin.csv", states=STATES)


def test_a_model_without_states_is_observed_but_not_dosed(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("ID,TIME,CMT,EVID,DOSE\n1,0,1,0,10\n")
    events = read_events(path, states=(), covariates=("DOSE",))
    assert events.doses.time.shape == (1, 0)
    path.write_text("ID,TIME,AMT\n1,0,10\n")
    with pytest.raises(DataError, match="no states"):
        read_events(path, states=())


def test_absurd_numbers_of_doses_are_refused(refused):
    assert "doses" in refused("ID,TIME,AMT,II,ADDL\n1,0,5,1,1e12\n")[0].found


def test_large_tables_are_quick(tmp_path):
    path = tmp_path / "large.csv"
    rows = [
        f"{i},{t},{100 if t == 0 else 0},{int(t == 0)},1,24,{5 * (t == 0)},{60 + t % 3}"
        for i in range(1000)
        for t in range(100)
    ]
    path.write_text("ID,TIME,AMT,EVID,CMT,II,ADDL,WT\n" + "\n".join(rows))
    begun = time.process_time()
    events = read_events(path, states=STATES, covariates=("WT",))
    assert time.process_time() - begun < 10
    assert events.periods.shape == (1000, 100)
    assert np.isfinite(events.doses.time).sum() == 6000


CELLS = st.sampled_from(
    [*("ID", "TIME", "AMT", "EVID", "ADDL", "II", "SS", "RATE", "CMT", "WT", "C")]
    + [
        "0",
        "1",
        "2",
        "-1",
        "1e308",
        "1e12",
        ".",
        "",
        "NA",
        "x",
        '"',
        "#",
        "12:30",
        "inf",
    ]
)
TABLES = st.lists(st.lists(CELLS, max_size=9).map(",".join), max_size=6).map("\n".join)


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(TABLES | TABLES.map("ID,TIME,AMT,II,ADDL,SS,CMT\n".__add__) | st.text())
def test_no_text_does_anything_but_read_or_be_refused(tmp_path, text):
    path = tmp_path / "any.csv"
    path.write_text(text, encoding="utf-8", errors="replace")
    for covariates in ((), ("WT",)):
        try:
            events = read_events(path, states=STATES, covariates=covariates)
        except DataError as error:
            refused = str(error)
        else:
            refused = ""
            finite = np.isfinite(events.doses.time)
            assert (events.doses.amount[finite] >= 0).all()
        assert refused or len(events.identity)


def test_parameters_by_identity(tmp_path):
    path = tmp_path / "parameters.csv"
    path.write_text("ID,CL,V,eta.CL\n2,5,50,0.1\n1,4,40,-0.1\n3,1,1,0\n")
    names = ("CL", "V", "KA", "eta.CL")
    given = read_parameters(path, names=names, identities=np.array([1, 2]))
    assert set(given) == {"CL", "V", "eta.CL"}
    assert given["CL"].tolist() == [4, 5]


def test_parameters_for_all(tmp_path):
    path = tmp_path / "parameters.csv"
    path.write_text("CL,V\n4,40\n")
    given = read_parameters(path, names=("CL", "V"), identities=np.array([1, 2]))
    assert given["V"].tolist() == [40]


@pytest.mark.parametrize(
    ("text", "at", "found"),
    [
        ("ID,cl\n1,4\n", "a column", "`cl`"),
        ("CL\n4\n5\n", "ID", "missing"),
        ("ID,CL\n1,4\n1,5\n2,1\n", "ID", "again"),
        ("ID,CL\n1,4\n", "ID", "without a row for 2"),
        ("ID,CL\n1,.\n2,4\n", "CL of subject 1", "missing"),
        ("ID,CL\n2,4\n1,x\n", "CL of subject 1", "`x`"),
        ("ID\n1\n2\n", "the table", "without a parameter"),
    ],
)
def test_wrong_parameters(tmp_path, text, at, found):
    path = tmp_path / "parameters.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_parameters(path, names=("CL", "V"), identities=np.array([1, 2]))
    assert any(f.at == at and found in f.found for f in caught.value.faults)
