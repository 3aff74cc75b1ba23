"""Predictions at the rows of tables as people write them; the right values are known.

Of a bolus in one compartment C = D/V exp(-CL/V t), of infusions its integral.
"""

import numpy as np
import pandas as pd
import pytest

import vtrial as vt
from vtrial.errors import DataError

MODEL = """
model: iv
parameters:
  CL: {value: 5, unit: L/h}
  V: {value: 40, unit: L}
equations: |
  d/dt(central) = -CL/V*central
  conc = central/V
outputs:
  conc: {unit: mg/L}
"""
SEXED = """
model: sexed
covariates:
  SEX: {values: [0, 1]}
parameters:
  CL: {value: 5, unit: L/h}
equations: |
  d/dt(central) = -CL/40*(1 + SEX)*central
  conc = central/40
outputs:
  conc: {unit: mg/L}
"""
OCCASIONS = """
model: between
parameters:
  tvCL: {value: 5, unit: L/h}
  V: {value: 40, unit: L}
random:
  - {of: CL, cv: 30 %}
  - {of: CLO, cv: 15 %, level: occasion}
equations: |
  CL = tvCL*exp(eta.CL + eta.CLO)
  d/dt(central) = -CL/V*central
  conc = central/V
outputs:
  conc: {unit: mg/L}
"""
KE = 5 / 40
BOLUS = 5 * np.exp(-KE * 1.5)  # of 200 mg after 1.5 h


class Folder:
    """A folder with a model, an event table and a table of parameters."""

    def __init__(self, path):
        self.path = path

    def predict(self, table, *, model=MODEL, parameters=None, **how):
        (self.path / "model.yaml").write_text(model)
        content = table if isinstance(table, bytes) else table.encode()
        (self.path / "events.csv").write_bytes(content)
        if parameters:
            (self.path / "par.csv").write_text(parameters)
            how["parameters"] = self.path / "par.csv"
        found = (self.path / "model.yaml", self.path / "events.csv")
        return vt.jobs.simulate_table(*found, **how)

    def refused(self, table, **how):
        with pytest.raises(DataError) as caught:
            self.predict(table, **how)
        return caught.value.faults


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_ids_as_text(folder):
    """`001017` and `1017` are two people, and 007 comes out as 007."""
    table = folder.predict(
        "ID,TIME,AMT,DV\n001017,0,200,.\n001017,1,.,.\n1017,1,100,.\n1017,2,.,.\n"
    )
    assert table["ID"].tolist() == ["001017", "1017"]
    wanted = np.array([5, 2.5]) * np.exp(-KE)
    np.testing.assert_allclose(table["conc"], wanted, rtol=1e-9)
    assert table["conc"].iloc[1] == pytest.approx(2.2062, abs=5e-5)
    table = folder.predict("ID,TIME,AMT\n007,0,200\n007,1,.\n0123,0,200\n0123,1,.\n")
    assert table["ID"].tolist() == ["007", "0123"]


def test_ids_as_text_are_matched_as_they_are_written(folder):
    events = "ID,TIME,AMT\n07,0,200\n07,1,.\n7,0,200\n7,1,.\n"
    table = folder.predict(events, parameters="ID,V\n7,20\n07,40\n")
    wanted = np.array([5 * np.exp(-KE), 10 * np.exp(-5 / 20)])
    np.testing.assert_allclose(table["conc"], wanted, rtol=1e-9)
    (fault,) = folder.refused("ID,TIME,AMT\n7.0,0,200\n", parameters="ID,V\n7,20\n")
    assert "without a row for 7.0, which stands here as 7" in fault.found
    (fault,) = folder.refused("ID,TIME,AMT\n7,0,200\n7.0,1,.\n")
    assert (fault.line, fault.found, fault.write) == (
        3,
        "`7.0` in a table that has `7`, too",
        "7",
    )


@pytest.mark.parametrize(
    "columns", ["AMT,RATE\n1,0,200,100", "AMT,DUR\n1,0,200,2", "AMT,TINF\n1,0,200,2:00"]
)
def test_infusion_duration_column(folder, columns):
    table = folder.predict(f"ID,TIME,{columns}\n1,1,.,.\n1,2,.,.\n1,6,.,.\n")
    np.testing.assert_allclose(table["conc"], [2.3500619, 4.4239843, 2.6832821], 1e-7)


def test_infusion_duration_column_repeats_and_has_a_steady_state(folder):
    """ADDL, SS and II do with DUR what they do with RATE; 0 is a bolus."""
    ask = "ID,TIME,AMT,{},II,ADDL,SS\n1,0,200,{},12,1,1\n1,13,.,0,0,0,0\n1,13,9,0,0,0,0"
    seen = "\n1,14,.,.,0,0,0\n"
    by_rate = folder.predict(ask.format("RATE", "100") + seen)["conc"]
    by_span = folder.predict(ask.format("DUR", "2") + seen)["conc"]
    by_clock = folder.predict(ask.format("DUR", "2:00") + seen)["conc"]
    np.testing.assert_allclose(by_span, by_rate, rtol=1e-12)
    np.testing.assert_allclose(by_clock, by_rate, rtol=1e-12)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        ("ID,TIME,AMT,RATE,DUR\n1,0,200,50,3\n", "does not go with RATE"),
        ("ID,TIME,AMT,RATE,DUR\n1,0,200,-2,3\n", "`3`"),
        ("ID,TIME,AMT,DUR\n1,0,200,-3\n", "`-3`"),
        ("ID,TIME,AMT,DUR\n1,0,200,3\n1,1,.,3\n", "`3` in a row that is no dose"),
        ("ID,TIME,AMT,DUR,TINF\n1,0,200,3,3\n", "there, and so is DUR"),
        ("ID,TIME,AMT,Duration\n1,0,200,3\n", "`Duration`, which nothing reads"),
        ("ID,TIME,AMOUNT\n1,0,200\n", "`AMOUNT`, which nothing reads"),
        ("ID,TIME,AMT,ADM\n1,0,200,1\n", "`ADM`, which nothing reads"),
        ("ID,TIME,AMT,TAU,ADDL\n1,0,200,12,1\n", "`TAU`, which nothing reads"),
        ("ID,TIME,AMT,amt\n1,0,200,1\n", "there, and so is AMT"),
        ("ID,TIME,AMT,CONT\n1,0,200,1\n", "`1`"),
        ("ID,TIME,AMT,CALL\n1,0,200,10\n", "`10`"),
    ],
)
def test_infusion_duration_column_or_another_of_doses_is_not_passed_over(
    folder, table, found
):
    assert found in folder.refused(table)[0].found


@pytest.mark.parametrize(
    ("table", "hours"),
    [
        ("DATE,TIME\n1,8\n1,10\n2,11\n3,12\n", [2, 27, 52]),
        ("DATE,TIME\n12/31/2023,22.5\n01/01/2024,23.0\n", [24.5]),
        ("DATE,TIME\n2024-03-01,08:00\n2024-03-01,10:00\n2024-03-02,11:00\n", [2, 27]),
        ("DATE,TIME\n10-1-86,9:15\n10-1-86,14:40\n10-2-86,8:30\n", [5 + 5 / 12, 23.25]),
        ("DATE,TIME\n10-12,8\n10-14,10\n", [50]),
        ("DAT1,TIME\n28/02/24,8:00:00\n1/3/24,8:00:36\n", [48.01]),
        ("DAT2,TIME\n2024/2/28,0\n2024/2/28,24:00\n", [24]),
        ("DAT3,TIME\n2024-03-01,0\n2024-04-01,0\n", [24]),
        ("TIME\n8:00\n14:45\n", [6.75]),
        ("TIME\n2024-02-28T22:00\n2024-02-29 00:30\n", [2.5]),
        ("date,time\n1,8\n1,10:30\n", [2.5]),
    ],
)
def test_date_column(folder, table, hours):
    """Hours since the first record, by NONMEM's rules for each label."""
    header, dose, *seen = table.splitlines()
    rows = [f"ID,{header},AMT,DV", f"1,{dose},200,.", *(f"1,{row},.,." for row in seen)]
    found = folder.predict("\n".join(rows))
    np.testing.assert_allclose(found["conc"], 5 * np.exp(-KE * np.array(hours)), 1e-8)


def test_date_column_in_a_model_that_counts_in_days(folder):
    model = MODEL.replace("model: iv", "model: iv\ntime: d").replace("L/h", "L/d")
    table = folder.predict(
        "ID,DATE,TIME,AMT,DUR\n1,1,12,200,0:00\n1,2,0,.,.\n1,2,12,.,.\n", model=model
    )
    wanted = 5 * np.exp(-KE * np.array([0.5, 1.0]))
    np.testing.assert_allclose(table["conc"], wanted, rtol=1e-8)


@pytest.mark.parametrize(
    ("table", "line", "found", "write"),
    [
        ("DATE,TIME\n31/12/2023,8", 2, "`31/12/2023`", "2023-12-31"),
        ("DATE,TIME\n31.12.2023,8", 2, "`31.12.2023`", "2023-12-31"),
        ("DATE,TIME\n01MAR2024,8", 2, "`01MAR2024`", "2024-03-01"),
        ("DATE,TIME\n20240301,8", 2, "`20240301`", "2024-03-01"),
        ("DATE,TIME\n2/30/2024,8", 2, "`2/30/2024`", "such as 2024-03-01"),
        ("DATE,TIME\n.,8", 2, "missing", "given in every row"),
        ("DATE,TIME\n1,8:30 PM", 2, "`8:30 PM`", "20:30"),
        ("DATE,TIME\n1,12:05 am", 2, "`12:05 am`", "0:05"),
        ("DATE,TIME\n1,0\n3,48", 3, "`48`", "such as DATE_"),
        ("DATE,TIME\n2,8\n1,9", 3, "`9`, after", "rows by DATE and TIME"),
        ("DATE,TIME\n2-28,8\n3-1,8", 3, "`3-1`", "with its year"),
        ("DATE,TIME\n2-28-2024,8\n2,8", 3, "`2`", "said as in the subject's first row"),
        ("TIME\n22:00\n6:00", 3, "`6:00`, after", "a column DATE"),
        ("TIME\n8:00\n14.75", 2, "clock", "a number as in other rows"),
        ("DATE,DAT1,TIME\n1,1,8", 1, "and so is DATE", ""),
    ],
)
def test_date_column_that_is_no_date(folder, table, line, found, write):
    header, dose, *seen = table.splitlines()
    rows = [f"ID,{header},AMT", f"1,{dose},200", *(f"1,{row},." for row in seen)]
    (fault,) = folder.refused("\n".join(rows))
    assert fault.line == line
    assert found in fault.found
    assert write in f"{fault.write} {fault.allowed}"


READABLE = {
    "bom, crlf": b"\xef\xbb\xbfID,TIME,AMT,DV\r\n1,0,200,.\r\n1,1.5,.,.\r\n",
    "cr": "ID,TIME,AMT,DV\r1,0,200,.\r1,1.5,.,.\r",
    "utf-16": "ID,TIME,AMT,DV\n1,0,200,.\n1,1.5,.,.\n".encode("utf-16"),
    "semicolons": "ID;TIME;AMT;DV\n1;0;200;.\n1;1,5;.;.\n",
    "semicolons, said": "sep=;\nID;TIME;AMT;DV\n1;0;200;.\n1;1,5;.;.\n",
    "semicolons, points": "ID;TIME;AMT;DV\n1;0;200.000;.\n1;1.5;.;.\n",
    "tabs": "ID\tTIME\tAMT\tDV\n1\t0\t200\t.\n1\t1.5\t.\t.\n",
    "blanks": " ID , TIME , AMT , DV \n 1 , 0 , 200 , . \n 1 , 1.5 , . , . \n",
    "trailing": "ID,TIME,AMT,DV,\n1,0,200,.,\n1,1.5,.,.,\n",
    "empty rows": "\n,,,\nID,TIME,AMT,DV\n1,0,200,.\n\n1,1.5,.,.\n,,,\n",
    "hash": "#ID,TIME,AMT,DV\n1,0,200,.\n1,1.5,.,.\n",
    "comments": "# made by hand\n# ID is text\nID,TIME,AMT,DV\n1,0,200,.\n1,1.5,.,.\n",
    "c": "C,ID,TIME,AMT,DV\n.,1,0,200,.\nC,1,0.7,.,.\n.,1,1.5,.,.\n",
    "n/a": "ID,TIME,AMT,DV\n1,0,200,.\n1,1.5,N/A,\n",
    "#n/a": "ID,TIME,AMT,DV\n1,0,200,NULL\n1,1.5,#N/A,nan\n",
    "dash": "ID,TIME,AMT,DV\n1,0,2E2,BLQ\n1,1.5,-,<0.05\n",
    "lower": "id,time,amt,dv\n1,0,200,.\n1,1.5,.,.\n",
    "mrgsolve": "ID,time,amt,evid,cmt\n1,0,200,1,1\n1,1.5,0,0,1\n",
    "rows of R": '"","ID","TIME","AMT"\n"1",1,0,200\n"2",1,1.5,NA\n',
    "rows of pandas": ",ID,TIME,AMT\n0,1,0,200\n1,1,1.5,\n",
    "quoted": 'ID,TIME,AMT,NOTE\n1,0,200,"a ""b"", c\nd"\n1,1.5,.,\n',
}


@pytest.mark.parametrize("name", READABLE)
def test_spreadsheets(folder, name):
    table = folder.predict(READABLE[name])
    assert table["conc"].tolist() == pytest.approx([BOLUS], rel=1e-9)


@pytest.mark.parametrize(
    ("table", "line", "found", "write"),
    [
        ('ID,TIME,AMT\n1,0,"1,000"', 2, "`1,000`", "1000 if the comma parts thousands"),
        ('ID,TIME,AMT\n1,0,"1,5"', 2, "`1,5`", "1.5"),
        ('ID,TIME,AMT\n1,0,"1,000,000"', 2, "`1,000,000`", "1000000"),
        ('ID,TIME,AMT\n1,0,"1.000,5"', 2, "`1.000,5`", "1000.5"),
        ("ID,TIME,AMT\n1,0,1'000", 2, "`1'000`", "1000"),
        ("ID;TIME;AMT\n1;0;1,000", 2, "`1,000`", "1000 if the comma parts thousands"),
        ("ID;TIME;AMT\n1;0,5;1.5", 2, "`1.5`", "1,5"),
        ("ID;TIME;AMT\n1;0,5;1.500", 2, "`1.500`", "1,500 if the point parts decimals"),
        ("ID,TIME,AMT\n1,0,200 mg", 2, "`200 mg`", "200"),
        ("ID,TIME,AMT\n1,0,0.2 g", 2, "`0.2 g`", "200"),
        ("ID,TIME,AMT\n1,0,200ug", 2, "`200ug`", "0.2"),
        ("ID,TIME,AMT\n1,30 min,5", 2, "`30 min`", "0.5"),
        ("ID,TIME,AMT,RATE\n1,0,5,1 mg/min", 2, "`1 mg/min`", "60"),
        ("ID,TIME,AMT\n1,0,\u22125", 2, "`\u22125`", "-5"),
        ("ID,TIME,AMT\n1,0,1_000", 2, "`1_000`", ""),
        ("ID,TIME,AMT\n1,0,<5", 2, "`<5`", ""),
        ("ID,TIME,AMT\n1,0,5 mL", 2, "`5 mL`", ""),
        (
            "ID,TIME,AMT,DV\n1,0,200,.\n1,1,5,.,.",
            3,
            "5 cells where the header has 4",
            "",
        ),
        ("ID,TIME,AMT,DV\n1,0,200", 2, "3 cells where the header has 4", ""),
        ("1,0,200\n1,1,0", 1, "`1`, a number", ""),
        (
            "ID,TIME,AMT,NOTE\n1,0,5,caf\u00e9",
            2,
            "not UTF-8",
            "the file saved as UTF-8",
        ),
        ('ID,TIME,AMT,NOTE\n1,0,5,"a\n1,1,.,b', 2, "a quote that does not end", ""),
        ("ID,TIME,AMT,NOTE\n1,0,5," + 140_000 * "x", 2, "131,072 characters", ""),
        ("ID,TIME,AMT\n1,0,\x005", 2, "NUL", "the file saved as UTF-8"),
    ],
)
def test_spreadsheets_that_say_two_things(folder, table, line, found, write):
    fault = folder.refused(table.encode("latin-1" if "\u00e9" in table else "utf-8"))[0]
    assert fault.line == line
    assert found in fault.found
    assert write in f"{fault.write} {fault.allowed}"


OCC = "ID,TIME,AMT,EVID,OCC\n1,0,100,1,1\n1,12,.,0,1\n1,12,100,1,2\n1,24,.,0,2\n"


def two_doses(first, second):
    """Return the troughs of 100 mg twice, 12 h apart, by the rates of the occasions."""
    trough = 2.5 * np.exp(-12 * first)
    return [trough, (trough + 2.5) * np.exp(-12 * second)]


def test_occasion_column(folder):
    """One effect an occasion; the one of the subject is zero where nobody gives it."""
    table = folder.predict(
        OCC, model=OCCASIONS, parameters="ID,OCC,eta.CLO\n1,2,-0.2\n1,1,0.2\n"
    )
    wanted = two_doses(KE * np.exp(0.2), KE * np.exp(-0.2))
    np.testing.assert_allclose(table["conc"], wanted, rtol=1e-9)
    assert table["OCC"].tolist() == [1, 2]
    table = folder.predict(OCC, model=OCCASIONS, parameters="ID,eta.CL\n1,0.2\n")
    np.testing.assert_allclose(
        table["conc"], two_doses(*2 * [KE * np.exp(0.2)]), rtol=1e-9
    )
    table = folder.predict(OCC, model=OCCASIONS)
    np.testing.assert_allclose(table["conc"], two_doses(KE, KE), rtol=1e-9)


@pytest.mark.parametrize("covariates", ["backward", "forward", "linear"])
def test_occasion_column_for_all_and_with_every_convention(folder, covariates):
    parameters = "OCC,tvCL,eta.CLO\nfirst,5,0.2\nlast,10,0\n"
    words = OCC.replace(",1\n", ",first\n").replace(",2\n", ",last\n")
    table = folder.predict(
        words, model=OCCASIONS, parameters=parameters, covariates=covariates
    )
    wanted = two_doses(KE * np.exp(0.2), 2 * KE)
    np.testing.assert_allclose(table["conc"], wanted, rtol=1e-7)


@pytest.mark.parametrize(
    ("events", "parameters", "found"),
    [
        (OCC, "ID,OCC,eta.CLO\n1,1,0.2\n", "without a row for 1, 2"),
        (OCC, "ID,OCC,eta.CLO\n1,1,0.2\n1,2.0,0.1\n", "stands here as 1, 2.0"),
        (OCC, "ID,OCC,eta.CLO\n1,1,0.2\n1,2,0.1\n1,2,0.3\n", "`2` again"),
        (OCC, "ID,OCC,eta.CL\n1,1,0.2\n1,2,0.1\n", "`0.1`"),
        (OCC.replace("OCC", "SEQ"), "ID,OCC,eta.CLO\n1,1,0.2\n", "missing"),
        (OCC.replace(",1\n", ",.\n"), "OCC,eta.CLO\n1,0\n2,0\n", "missing"),
    ],
)
def test_occasion_column_that_does_not_go_with_its_parameters(
    folder, events, parameters, found
):
    faults = folder.refused(events, model=OCCASIONS, parameters=parameters)
    assert found in faults[0].found


def test_carried_columns(folder):
    """Text as text and numbers as numbers, and no column hides a prediction."""
    table = folder.predict(
        "ID,TIME,AMT,DV,STUDY,SEX,SITE,DAY,conc\n"
        "1,0,200,.,A,F,007,1,9\n1,1,.,4.2,A,F,007,.,8\n1,2,.,BLQ,A,F,012,2,7\n"
    )
    assert table["DV"].tolist() == ["4.2", "BLQ"]
    assert table["STUDY"].tolist() == ["A", "A"]
    assert table["SEX"].tolist() == ["F", "F"]
    assert table["SITE"].tolist() == ["007", "012"]
    assert pd.isna(table["DAY"].iloc[0])
    assert table["DAY"].iloc[1] == 2
    assert table["conc_data"].tolist() == [8, 7]
    np.testing.assert_allclose(table["conc"], 5 * np.exp(-KE * np.array([1, 2])))
    written = table.to_csv(index=False).splitlines()[2]
    assert written.endswith("BLQ,A,F,012,2,7")


def test_a_value_that_the_model_does_not_know_is_refused_with_its_line(folder):
    table = "ID,TIME,AMT,SEX\n1,0,200,1\n1,1,.,1\n2,0,200,2\n2,1,.,0\n"
    (fault,) = folder.refused(table, model=SEXED)
    assert (fault.line, fault.at, fault.found) == (4, "SEX of subject 2", "`2`")
    assert "0 or 1" in fault.allowed


def test_codes_hold_between_records_where_others_go_in_lines(folder):
    """An additional dose between two records meets a code, and nothing between."""
    table = "ID,TIME,AMT,II,ADDL,SEX\n1,0,200,4,1,0\n1,8,.,0,0,1\n"
    found = folder.predict(table, model=SEXED, covariates="linear")
    step = folder.predict(table, model=SEXED)
    np.testing.assert_allclose(found["conc"], step["conc"], rtol=1e-9)
