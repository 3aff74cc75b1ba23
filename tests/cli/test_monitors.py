"""Persons are watched, and messages about them read, from the command line."""

import json
import shlex

import pandas as pd
import pytest

import vtrial as vt
from vtrial.cli.app import app

WALK = """
model: walk
equations: |
  init(x) = eta.X0
  level = x
parameters: {KEEPS: {value: 0.9}, STEP: {value: 0.5}}
random: [{of: X0, variance: 1.0}]
every 1 h: x <- KEEPS*x + STEP*normal(x)
outputs: {level: {error: {additive: 0.4}}}
"""
PERSON = "ID,TIME,DV\n7,1,0.2\n7,2,-0.6\n7,3,-1.4\n7,5,0.4\n"
WATCHED = '--event "level < -1" --within "2 h" --threshold 0.5 --particles 100'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk.yaml").write_text(WALK)
    (tmp_path / "person.csv").write_text(PERSON)
    return tmp_path


def run(line):
    return app(shlex.split(line), standalone_mode=False)


def test_a_person_is_watched(folder, capsys):
    files = "--plot alarms.svg --out alarms.csv"
    run(f"monitor walk.yaml --data person.csv {WATCHED} {files} --json")
    told = json.loads(capsys.readouterr().out)
    assert told["summary"]["events"] == 1
    table = pd.read_csv("alarms.csv")
    assert table["TIME"].tolist() == [1, 2, 3, 5]
    assert (table["alarm"] == (table["after"] >= 0.5)).all()
    moved = table["after"] - table["before"]
    assert moved[2] > 0.05, "a low level makes the next one likelier"
    assert moved[3] < 0
    assert "P(level" in (folder / "alarms.svg").read_text()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("monitor walk.yaml --data person.csv " + WATCHED + " --person 8 --plot a.svg",
         "an ID of the data: 7"),
        ("monitor walk.yaml --data person.csv --event 'lvel < 0' --within '2 h' "
         "--threshold 0.5", "level"),
        ("monitor walk.yaml --data person.csv " + WATCHED + " --method ensemble "
         "--moves 2", "--method particles"),
        ("twin walk.yaml", "--data person.csv"),
        ("twin walk.yaml --data person.csv --codes a=level", "--data and --codes"),
        ("twin walk.yaml --stream person.csv", "--codes"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_is_refused(line, said):
    with pytest.raises(vt.VtrialError, match=said):
        run(line)
