"""The command `vtrial twin`: options that do not go together are told at once."""

import json

import pytest

from tests.twin.conftest import SHEET, written
from vtrial.cli.app import app
from vtrial.errors import VtrialError

GOAL = ["--advise", "AUC24 in 400 to 600"]
ROWS = ["1,0,1000,1000,1,.,82,95", "1,11.5,.,.,0,9.1,82,95"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (GOAL, "--doses is missing"),
        ([*GOAL, "--doses", "1 g"], "--every is missing"),
        (["--doses", "1 g", "--every", "8 h"], "given without --advise"),
        *(
            ([name, value], f"{name} is given without --advise")
            for name, value in {
                **{"--harm": "AUC24 > 700", "--over": "1 h", "--into": "central"},
                **{"--until": "48 h", "--weight": "1", "--candidates": "a.csv"},
                "--plot-advice": "a.svg",
            }.items()
        ),
        (["--dose", "1 g"], "--plot, or with --predictions and without --instead"),
        (
            ["--dose", "1 g", "--instead", "2 g", "--predictions", "a.csv"],
            "--dose is given without a course under it",
        ),
        (["--from", "24 h"], "given with --advise, --dose or --instead"),
        (["--from", "24 h", "--plot", "a.svg"], "doses that begin then"),
        (["--times", "0 h"], "given with --predictions, --instead or --plot"),
        (["--person", "1", "--predictions", "a.csv"], "nothing is of one person"),
        (["--instead", "1 g", "--from", "soon"], "--from is `soon`"),
        (["--plot", "a.svg", "--times", "0 h to 4 h every 0 h"], "a range of 1 to"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, words):
    path = written(tmp_path, ROWS, "ID,TIME,AMT,RATE,EVID,DV,WT,CRCL")
    arguments = ["twin", "vancomycin-plasma-thomson", "--data", str(path), *options]
    with pytest.raises(VtrialError) as told:
        app(arguments, standalone_mode=False)
    assert words in str(told.value)


def told(capsys, *arguments):
    """Run the command; return what it printed."""
    app(["twin", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def test_what_would_have_been_is_printed_where_no_file_is_asked_for(tmp_path, capsys):
    model = tmp_path / "known.yaml"
    model.write_text(json.dumps(SHEET))
    path = written(tmp_path, ["1,0,100,1,.,.", "1,1,.,0,4.6,conc"])
    how = [model, "--data", path, "--draws", "50", "--instead", "200 mg"]
    said = told(capsys, *how, "--times", "4 h")
    assert "What was given, and what would have been" in said
    assert "difference" in said
    file = tmp_path / "instead.csv"
    assert "difference" not in told(
        capsys, *how, "--times", "4 h", "--predictions", file
    )
    assert "difference" in file.read_text()


def test_values_below_a_limit_are_left_out_of_a_stream_if_asked(tmp_path, capsys):
    """What is left out is as if it had never come."""
    model = tmp_path / "known.yaml"
    model.write_text(json.dumps(SHEET))
    head = "person,time,code,value,unit"
    rows = [
        "ann,2026-03-01T08:00:00Z,GIVEN,100,mg",
        "ann,2026-03-01T09:00:00Z,LEVEL,4.6,mg/L",
    ]
    low = "ann,2026-03-01T20:00:00Z,LEVEL,<2,mg/L"
    few = written(tmp_path, rows, head, "few.csv")
    all_ = written(tmp_path, [*rows, low], head, "all.csv")

    def known(path, *options):
        how = ["--stream", path, "--codes", "GIVEN=dose, LEVEL=conc", "--draws", "50"]
        said = json.loads(told(capsys, model, *how, *options, "--json"))
        return said["individuals"]

    assert known(all_, "--below", "M1") == known(few)
    assert known(all_) != known(few)
