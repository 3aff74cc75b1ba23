"""The shipped protocols give the numbers that they gave, and lose nobody.

They are run thinned. Where a change of numbers is meant, `python -m tests.golden`
writes the table anew.
"""

import numpy as np
import pandas as pd
import pytest

from tests.golden.measure import TABLE, THINNED, measured
from vtrial.sheets.find import shipped

SLOW = (
    *(
        "highrif",
        "surmount-1",
        "surmount-1-composition",
        "t1d-basal-bolus",
        "docetaxel-adaptive",
        "docetaxel-label",
        "docetaxel-optimal",
        "first-in-human",
        "warfarin-adherence",
        "warfarin-genotype",
    ),
    *("mri-service", "outbreak", "hf-remote", "alzheimer-progression", "ed-rota"),
    "hf-remote-twin",
    *("icu-glucose", "icu-sepsis"),
    *("busulfan-auc", "lung-twin", "vancomycin-auc"),
)


def test_every_shipped_protocol_has_numbers():
    there = {path.stem for path in shipped("protocols").glob("*.yaml")}
    assert there == {*THINNED} == {*pd.read_csv(TABLE)["protocol"]}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name in THINNED
    ],
)
def test_shipped_protocols_give_their_numbers_and_lose_nobody(name, tmp_path):
    found, failed = measured(name, tmp_path / "out")
    assert failed == 0
    table = pd.read_csv(TABLE)
    wanted = table[table["protocol"] == name].reset_index(drop=True)
    pd.testing.assert_frame_equal(found[["of", "what"]], wanted[["of", "what"]])
    value, right = found["value"].to_numpy(float), wanted["value"].to_numpy(float)
    np.testing.assert_array_equal(np.isnan(value), np.isnan(right))
    apart = np.abs(value - right) > wanted["tolerance"] * np.abs(right)
    assert not apart.any(), wanted.assign(found=value)[apart].to_string()
