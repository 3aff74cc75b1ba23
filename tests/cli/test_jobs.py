"""Everyday jobs from the command line."""

import json

import pandas as pd
import pytest

import vtrial as vt
from tests.cli.test_app import shell, use
from vtrial.cli.app import WRONG

POPULATION = ["simulate", "one-compartment-oral", "--dose", "100 mg", "--cohort"]
POPULATION += ["adults", "--subjects", 6, "--times", "0 h to 4 h every 2 h"]


def test_a_population_is_simulated_into_a_table_and_a_figure(tmp_path):
    out, plot = tmp_path / "pop.csv", tmp_path / "pop.svg"
    said = use(*POPULATION, "--residual", "--keep", "WT", "--out", out, "--plot", plot)
    assert "6 subjects at 3 times; TIME [h], conc [mg/L]" in said
    table = pd.read_csv(out)
    assert table.columns.tolist() == ["ID", "TIME", "conc", "conc_measured", "WT"]
    assert plot.read_text().startswith("<?xml")
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_file_it_says_what_people_are_exposed_to():
    assert "Cmax" in use(*POPULATION)
    rows = json.loads(use(*POPULATION, "--json"))
    assert [row["what"] for row in rows] == ["Cmax", "Tmax", "AUC"]
    assert rows[0]["n"] == 6


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--data", "events.csv"], "given beside --data"),
        (["--parameters", "p.csv"], "given beside --times"),
        (["--plot", "pop.pdf"], "pop.svg"),
        (["--observed", "data.csv"], "without --plot"),
        (["--keep", "WTT"], "WT"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(more, said, tmp_path):
    with pytest.raises(vt.VtrialError, match=said):
        use(*POPULATION, *more)
    assert not list(tmp_path.iterdir())


def test_nobody_knows_what_is_asked_without_times(tmp_path):
    done = shell("simulate", "one-compartment-oral", cwd=tmp_path)
    assert done.returncode == WRONG
    assert "--times" in done.stderr


def test_nca_prints_a_summary_and_writes_rows(tmp_path):
    data, out = tmp_path / "data.csv", tmp_path / "pp.csv"
    rows = ((0, 0), (1, 8), (2, 4), (4, 2), (6, 1))
    text = "".join(f"1,{t},{v}\n" for t, v in rows)
    data.write_text(f"ID,TIME,DV\n{text}2,0,0\n2,1,1\n2,2,2\n")
    printed = shell("nca", data, "--amount", 10, "--out", out)
    assert "AUCLST" in printed.stdout
    assert "Not all numbers of 2" in printed.stderr
    table = pd.read_csv(out)
    assert {"USUBJID", "PPTESTCD", "PPTEST", "PPORRES", "PPORRESU"} <= {*table}
    use("nca", data, "--amount", 10, "--out", out, "--wide")
    assert pd.read_csv(out)["CMAX"].tolist() == [8, 2]


def test_people_and_plots_are_written(tmp_path):
    people, pop, plot = (tmp_path / n for n in ("p.csv", "pop.csv", "f.png"))
    said = use("cohort", "adults", "--subjects", 6, "--out", people)
    assert str(people.with_suffix(".yaml")) in said
    command = list(map(str, POPULATION))
    command[command.index("adults")] = str(people.with_suffix(".yaml"))
    use(*command, "--keep", "FEMALE", "--out", pop)
    use("plot", pop, "--out", plot, "--by", "FEMALE", "--lines", "--unit", "conc=mg/L")
    assert plot.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(vt.VtrialError, match="COLUMN=UNIT"):
        use("plot", pop, "--out", plot, "--unit", "mg/L")


def test_a_conversion_says_what_it_changed(tmp_path):
    data, out = tmp_path / "data.csv", tmp_path / "clean.csv"
    data.write_text("id,time,DOSE,dv\n1,0,100,0\n1,2,.,5\n")
    told = ["--column", "DOSE=AMT", "--out", out]
    said = use("convert", data, "--from", "nonmem", *told)
    assert "- column DOSE is called AMT" in said
    assert "2 rows of 1 subjects" in said
    found = json.loads(
        use("convert", data, "--from", "monolix", "--both", "dose", *told, "--json")
    )
    assert "column DOSE is called AMT" in found["changes"]
