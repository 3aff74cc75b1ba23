"""Other programs' data: what is changed, what is said, what is refused."""

import pandas as pd
import pytest

import vtrial as vt
from vtrial.errors import DataError


def convert(folder, text, dialect="nonmem", **told):
    """Convert a table; return it as it was written, and the changes as one text."""
    path, out = folder / "data.csv", folder / "clean.csv"
    path.write_text(text)
    found = vt.jobs.convert_table(path, dialect, out=out, **told)
    table = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert table.to_numpy().tolist() == found.table.to_numpy().tolist()
    return table, "\n".join(found.changes)


def test_comments_gaps_and_case_of_nonmem(tmp_path):
    text = "C,id,time,amt,dv,wt\n.,1,0,100,0,70\nC,1,1,.,9,70\n.,1,2,NA,5,70\n"
    table, said = convert(tmp_path, text + ".,1,3,,.,70\n")
    assert table.columns.tolist() == ["ID", "TIME", "EVID", "AMT", "DV", "MDV", "wt"]
    assert table["TIME"].tolist() == ["0", "2", "3"]
    assert table["EVID"].tolist() == ["1", "0", "0"]
    assert table["AMT"].tolist() == ["100", ".", "."]
    assert table["DV"].tolist() == [".", "5", "."]
    assert table["MDV"].tolist() == ["0", "0", "1"]
    for words in (
        "1 row of comment",
        "column amt is called AMT",
        "2 missing cells (NA, nothing)",
        "EVID is made of AMT and MDV: 1 dose, 2 observations",
        "DV 0 of 1 row",
        "1 observation without a value",
    ):
        assert words in said


def test_a_letter_marks_comments_where_it_is_told(tmp_path):
    text = "ID TIME AMT DV\n1 0 100 .\nx 1 . 3\n1 2 . 4\n"
    table, said = convert(tmp_path, text, ignore="@")
    assert table["TIME"].tolist() == ["0", "2"]
    assert "1 row of comment" in said
    assert "parted by commas" in said


def test_dates_and_clock_times_are_hours_since_the_first_record(tmp_path):
    text = "ID,DAT2,TIME,AMT,DV\n1,2024-02-28,22:00,100,.\n1,2024-03-01,8:30,.,5\n"
    table, said = convert(tmp_path, text)
    assert table["TIME"].tolist() == ["0", "34.5"]
    assert "DAT2" not in table
    assert "TIME in h since" in said
    days, _ = convert(tmp_path, text, time="d")
    assert days["TIME"][1] == "1.4375"


def test_additional_doses_and_steady_states_stay(tmp_path):
    text = "ID,TIME,AMT,II,ADDL,SS,EVID,DV\n1,0,100,24,6,1,1,0\n1,30,0,0,0,0,0,5\n"
    table, _ = convert(tmp_path, text)
    assert table.loc[0, ["II", "ADDL", "SS"]].tolist() == ["24", "6", "1"]
    assert table.loc[1, ["AMT", "II", "ADDL", "SS"]].tolist() == ["."] * 4


MONOLIX = "ID;TIME;Y;AMT;ADM;YTYPE;TINF;CENS;SS;II\n1;0;.;100;1;.;0,5;.;1;12\n"
MONOLIX += "1;2;4,5;.;.;1;.;0;.;.\n1;3;9;.;.;2;.;1;.;.\n"


def test_columns_of_monolix(tmp_path):
    table, said = convert(tmp_path, MONOLIX, "monolix")
    assert table["DV"].tolist() == [".", "4.5", "9"]
    assert table["DUR"].tolist() == ["0.5", ".", "."]
    assert table["DVID"].tolist() == [".", "1", "2"]
    assert "ADM" not in table
    assert "CMT" not in table
    for words in ("Y is called DV", "ADM is 1 in all", "5, unless", "CENS is carried"):
        assert words in said


def test_administrations_go_where_it_is_told(tmp_path):
    text = "ID,TIME,Y,AMT,ADM\n1,0,.,10,1\n1,1,.,5,2\n1,2,3,.,.\n"
    with pytest.raises(vt.VtrialError, match="1=STATE, 2=STATE"):
        convert(tmp_path, text, "monolix")
    table, _ = convert(tmp_path, text, "monolix", routes="1=depot, 2=central")
    assert table["CMT"].tolist() == ["depot", "central", "."]


def test_rows_with_a_dose_and_a_value_are_ambiguous(tmp_path):
    text = "ID,TIME,Y,AMT\n1,0,0.2,10\n1,2,3,.\n"
    with pytest.raises(vt.VtrialError, match=r"data\.csv:2.*--both split"):
        convert(tmp_path, text, "monolix")
    assert not (tmp_path / "clean.csv").exists()
    table, _ = convert(tmp_path, text, "monolix", both="split")
    assert table["EVID"].tolist() == ["0", "1", "0"]
    assert table["DV"].tolist() == ["0.2", ".", "3"]
    table, _ = convert(tmp_path, text, "monolix", both="dose")
    assert table["DV"].tolist() == [".", "3"]


def test_mdv_2_is_an_event_without_a_value(tmp_path):
    text = "ID,TIME,Y,AMT,MDV\n1,0,.,10,1\n1,2,.,.,2\n1,3,3,.,0\n"
    table, said = convert(tmp_path, text, "monolix")
    assert table["EVID"].tolist() == ["1", "2", "0"]
    assert table["MDV"].tolist() == ["1", "1", "0"]
    assert "MDV 2" in said


def test_what_was_converted_can_be_simulated(tmp_path):
    text = "C,id,time,amt,dv,WT\n.,1,0,100,0,70\nC,1,1,.,9,70\n.,1,2,NA,5,70\n"
    convert(tmp_path, text)
    found = vt.jobs.simulate_table("one-compartment-oral", tmp_path / "clean.csv")
    assert (found["conc"] > 0).all()


@pytest.mark.parametrize(
    ("text", "told", "said"),
    [
        ("ID,TIME,DOSE\n1,0,100\n", {}, "DOSE=AMT"),
        ("SUBJ,TIME\n1,0\n", {}, "ID is missing"),
        ("ID,TIME,AMT\n1,0,1\n2,0,1\n1,1,.\n", {}, r"data\.csv:4.*again"),
        ("ID,TIME,AMT\n1,5,1\n#x\n1,1,.\n", {}, r"data\.csv:4"),
        ("ID,TIME,AMT\n1,0,x\n", {}, r"data\.csv:2"),
        ("ID,TIME,AMT\n1,0,1\n", {"columns": "A=ID"}, "one of ID"),
        ("ID,TIME,AMT\n1,0,1\n", {"columns": "A"}, "NAME=VALUE"),
        ("ID,TIME,AMT\n1,0,1\n", {"dialect": "winnonlin"}, "nonmem"),
        ("ID,TIME,AMT\n1,0,1\n", {"both": "x"}, "split"),
        ("", {}, "empty"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(text, told, said, tmp_path):
    with pytest.raises(vt.VtrialError, match=said):
        convert(tmp_path, text, **told)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


RXODE = "id,time,evid,amt,dv\n1,0,101,100,.\n1,0,10201,5,.\n1,4,10201,-5,.\n1,5,0,.,3\n"


def test_classic_events_of_rxode2(tmp_path):
    """An infusion of 5 an hour into the second compartment lasts for four hours."""
    more = "2,0,90101,50,.\n2,1,70101,-50,.\n2,2,2,.,.\n2,3,3,.,.\n"
    table, said = convert(tmp_path, RXODE + more, "rxode2")
    assert table["EVID"].tolist() == ["1", "1", "0", "1", "2", "3"]
    assert table["CMT"].tolist() == ["1", "2", ".", "1", ".", "."]
    assert table["AMT"].tolist() == ["100", "20", ".", "50", ".", "."]
    assert table["RATE"].tolist() == [".", "5", ".", "-1", ".", "."]
    assert "5 classic events" in said
    assert "2 ends of infusions" in said
    steady = "id,time,evid,amt,ii\n1,0,110,100,12\n1,3,0,.,.\n"
    table, _ = convert(tmp_path, steady, "rxode2")
    assert table.loc[0, ["EVID", "CMT", "SS", "II"]].tolist() == ["1", "1", "1", "12"]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ("5", "replaces an amount"),
        ("6", "multiplies an amount"),
        ("7", "a transit dose"),
        ("40101", "replaces an amount"),
        ("130", "turns a compartment off"),
        ("10110", "an infusion at steady state"),
        ("10101", "half an infusion"),
        ("102", "no event"),
        ("30101", "no event"),
        ("55", "`55`"),
    ],
)
def test_events_of_rxode2_without_a_like_are_refused_by_line(tmp_path, event, told):
    text = f"id,time,evid,amt,dv\n1,0,101,100,.\n1,1,{event},5,.\n1,5,0,.,3\n"
    with pytest.raises(DataError, match=told) as caught:
        convert(tmp_path, text, "rxode2")
    (fault,) = caught.value.faults
    assert fault.line == 3
