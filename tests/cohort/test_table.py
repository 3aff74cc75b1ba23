"""A table of real subjects: rows whole, faults with their line, no other file."""

import numpy as np
import pytest

from vtrial.cohort.draw import sample
from vtrial.cohort.sheet import load_cohort
from vtrial.errors import CohortError, VtrialError

SHEET = """\
cohort: real
table:
  file: real.csv
  columns: {WT: kg, AGE: {unit: a, title: age}}
covariates:
  GENE: {categorical: {0: 0.7, 1: 0.3}}
derive: {YOUNG: AGE < 40}
eligibility: WT > 50
"""
ROWS = "ID,WT,AGE\n1,70,30\n2,81.5,44\n3,45,61\n"


def write(folder, *, sheet=SHEET, rows=ROWS):
    (folder / "real.yaml").write_text(sheet)
    (folder / "real.csv").write_text(rows)
    return folder / "real.yaml"


def faults(path):
    with pytest.raises(CohortError) as caught:
        load_cohort(path)
    return caught.value.faults


def test_rows_are_drawn_whole_with_more_covariates_beside_them(tmp_path):
    cohort = load_cohort(write(tmp_path))
    assert cohort.names == ("WT", "AGE", "GENE", "YOUNG")
    who = np.arange(1000)
    values = sample(cohort, None, seed=1, replicate=who * 0, subject=who).covariates
    pairs = set(zip(np.asarray(values["WT"]), np.asarray(values["AGE"]), strict=True))
    assert pairs == {(70.0, 30.0), (81.5, 44.0)}
    np.testing.assert_array_equal(values["YOUNG"], np.asarray(values["AGE"]) < 40)
    share = (np.asarray(values["WT"]) == 70).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(1000), "once in 16,000 seeds"


def test_missing_values_are_refused_with_their_line(tmp_path):
    rows = "ID,WT,AGE\n1,70,30\n2,,44\n3,45,NA\n4,45\n\n5,x,1\n"
    found = faults(write(tmp_path, rows=rows))
    told = [(fault.line, fault.at, fault.found) for fault in found]
    assert told == [
        (3, "column WT", "empty"),
        (4, "column AGE", "`NA`"),
        (5, "a row", "2 cells where the header has 3"),
        (7, "column WT", "`x`"),
    ]
    assert all(fault.source.endswith("real.csv") for fault in found)


def test_an_unknown_column_names_the_nearest(tmp_path):
    (fault,) = faults(write(tmp_path, sheet=SHEET.replace("{WT:", "{WTT: kg, WT:")))
    assert (fault.line, fault.write) == (4, ""), "it would be there twice"
    assert "(WT, " in fault.allowed


@pytest.mark.parametrize("name", ["other.csv", "../real.csv", "/etc/passwd", ".hidden"])
def test_only_a_file_beside_the_sheet_is_read(tmp_path, name):
    path = write(tmp_path, sheet=SHEET.replace("real.csv", name))
    with pytest.raises(VtrialError, match=r"table\.file|control character"):
        load_cohort(path)


def test_a_table_without_rows_is_refused(tmp_path):
    (fault,) = faults(write(tmp_path, rows="ID,WT,AGE\n"))
    assert "without a row" in fault.found


def test_rows_in_order_are_not_screened(tmp_path):
    sheet = SHEET.replace("real.csv", "real.csv\n  draw: in order")
    (fault,) = faults(write(tmp_path, sheet=sheet))
    assert fault.at == "eligibility"
    assert "`draw: with replacement`" in fault.allowed


def test_a_column_is_no_covariate_too(tmp_path):
    (fault,) = faults(write(tmp_path, sheet=SHEET.replace("GENE", "WT")))
    assert fault.found == "`WT` again"


def test_the_twelve_subjects_are_those_of_the_data_set():
    """Weights and doses of R's `Theoph`: 79.6 kg and 4.02 mg/kg for subject 1."""
    table = load_cohort("theophylline-twelve").table
    assert table is not None
    weight, dose = np.asarray(table.column("WT")), np.asarray(table.column("DOSE"))
    np.testing.assert_allclose(weight * dose, table.column("DOSE_MG"), rtol=1e-9)
    assert (len(weight), weight[0], dose[0]) == (12, 79.6, 4.02)


@pytest.mark.parametrize(
    ("rows", "line", "found"),
    [
        ("ID,WT,AGE\n1,71,5,24\n2,64,0,31\n", 2, "4 cells where the header has 3"),
        ("ID,WT,AGE,WT\n1,71.5,24,157.6\n", 1, "`WT`, 2 times"),
        ("ID,WT,AGE,NOTE,NOTE\n1,71.5,24,a,b\n", 1, "`NOTE`, 2 times"),
        ('ID,WT,AGE\n1,"71,5",24\n', 2, "`71,5`"),
        ('ID,WT,AGE\n1,"71,500",24\n', 2, "`71,500`"),
        ("ID,WT,AGE\n1,71500 g,24\n", 2, "`71500 g`"),
        ("ID,WT,AGE\n1,7_1,24\n", 2, "`7_1`"),
        ("ID,WT,AGE\n1,inf,24\n", 2, "`inf`"),
        ("ID,WT,AGE\n1,-,24\n", 2, "`-`"),
        ("ID,WT,AGE\n1,caf\xe9,24\n", 2, "not UTF-8"),
        ("ID,WT,AGE\n1,71\x00,24\n", 2, "NUL"),
    ],
)
def test_broken_tables(tmp_path, rows, line, found):
    path = write(tmp_path)
    (tmp_path / "real.csv").write_bytes(rows.encode("latin-1"))
    fault = faults(path)[0]
    assert fault.line == line
    assert found in fault.found
    assert fault.source.endswith("real.csv")


def test_broken_tables_have_remedies_that_keep_magnitudes(tmp_path):
    rows = 'ID,WT,AGE\n1,"71,5",24\n2,71500 g,24\n3,"71,500",24\n'
    told = faults(write(tmp_path, rows=rows))
    assert [fault.write for fault in told] == ["71.5", "71.5", ""]
    both = "71500 if the comma parts thousands, 71.500 if it parts decimals"
    assert told[2].allowed == both


@pytest.mark.parametrize(
    "rows",
    [
        "ID;WT;AGE;\n1;70;30;\n2;81,5;44;\n3;45;61;\n;;;\n",
        "#ID\tWT\tAGE\n1\t70\t30\n2\t81.5\t44\n3\t45\t61\n",
        '"","ID","WT","AGE"\n"1",1,70,30\n"2",2,81.5,44\n"3",3,45,61\n',
    ],
)
def test_spreadsheets_of_subjects(tmp_path, rows):
    table = load_cohort(write(tmp_path, rows=rows)).table
    assert table is not None
    assert table.column("WT") == (70.0, 81.5, 45.0)


@pytest.mark.parametrize("name", ["x" * 300 + ".csv", '"a\\0b.csv"'])
def test_a_name_that_no_file_has_is_refused(tmp_path, name):
    path = write(tmp_path, sheet=SHEET.replace("real.csv", name))
    with pytest.raises(VtrialError, match=r"table\.file|control character"):
        load_cohort(path)
