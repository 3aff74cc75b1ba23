"""The command `vtrial twin`: options that do not go together are told at once."""

import pytest

from tests.twin.conftest import written
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
        (["--plot-advice", "a.svg"], "given without --advise"),
        (["--from", "soon"], "--from is `soon`"),
        (["--times", "0 h to 4 h every 0 h"], "a range of 1 to"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, options, words):
    path = written(tmp_path, ROWS, "ID,TIME,AMT,RATE,EVID,DV,WT,CRCL")
    arguments = ["twin", "vancomycin-plasma-thomson", "--data", str(path), *options]
    with pytest.raises(VtrialError) as told:
        app(arguments, standalone_mode=False)
    assert words in str(told.value)
