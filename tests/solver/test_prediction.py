"""Predictions at the rows of an event table."""

import numpy as np
import pytest

from vtrial.dosing.table import read_events
from vtrial.errors import SolverError
from vtrial.solver.prediction import predict

TABLE = """ID,TIME,AMT,EVID,CMT,DV
9,5.0,100,1,1,.
9,5.0,0,0,2,.
9,7.0,0,2,2,.
3,0.0,50,1,1,.
3,2.0,0,0,2,.
3,8.0,0,0,2,.
"""


@pytest.fixture
def events(made, tmp_path):
    path = tmp_path / "events.csv"
    path.write_text(TABLE)
    return read_events(path, states=made.models["oral"].states)


def concentration(dose, time, ka=1.0, ke=0.1, volume=50.0):
    shape = ka / (ka - ke) * (np.exp(-ke * time) - np.exp(-ka * time))
    return dose / volume * shape


def test_rows_come_in_the_order_of_the_file(made, events):
    table = predict(made.models["oral"], events)
    assert list(table.columns) == ["ID", "TIME", "conc", "DV"]
    assert table.ID.tolist() == [9, 9, 3, 3]
    assert table.TIME.tolist() == [5.0, 7.0, 2.0, 8.0]
    wanted = [
        concentration(100.0, np.array([0.0, 2.0])),
        concentration(50.0, np.array([2.0, 8.0])),
    ]
    np.testing.assert_allclose(table.conc, np.concatenate(wanted), rtol=1e-12)


def test_parameters_go_by_subject(made, events):
    given = {"V": np.array([50.0, 25.0]), "CL": np.array([5.0, 2.5])}
    table = predict(made.models["oral"], events, parameters=given)
    np.testing.assert_allclose(
        table.conc[2:], concentration(50.0, np.array([2.0, 8.0]), volume=25.0)
    )


def test_who_fails_is_named_and_the_others_stand(made, events):
    table = predict(
        made.models["oral"], events, parameters={"V": np.array([np.nan, 50.0])}
    )
    assert table.STATUS.tolist() == [
        *["missing parameter or covariate"] * 2,
        *["solved"] * 2,
    ]
    assert table.conc.isna().tolist() == [True, True, False, False]


def test_a_parameter_that_nothing_reads_is_refused(made, events):
    with pytest.raises(SolverError, match="`CLL`, which made-up does not have"):
        predict(made.models["oral"], events, parameters={"CLL": 1.0})


def test_initial_values_hold_at_the_first_record(made, events):
    """Growth begins with a subject's first row, here at 5 h and at 0 h."""
    model = made.model("d/dt(x) = K*x\nd/dt(y) = 0\ninit(x) = 1", outputs=("x",), K=0.1)
    table = predict(model, events._replace(doses=made.doses([5.0], [0.0])))
    grown = np.exp(0.1 * np.array([0.0, 2.0]))
    np.testing.assert_allclose(table.x[:2], grown, rtol=1e-12)
