"""Records that come one by one, in any order, and streams of messages."""

import itertools

import numpy as np
import pytest

from tests.twin.conftest import written
from vtrial.errors import DataError, FitError
from vtrial.fit.study import read_study
from vtrial.model.sheet import load_model
from vtrial.twin.importance import posterior
from vtrial.twin.sequence import Record, Twin
from vtrial.twin.stream import read_stream

CODES = {"35669-1": "cleared", "DRUG": "dose", "20578-1": "conc"}
HEAD = "person,time,code,value,unit,id,version,status,end"
DAY = "2026-03-01T"
STILL = {
    "model": "still",
    "equations": "first = A*exp(eta.A)\nsecond = first + B*exp(eta.B)*t",
    "parameters": {"A": {"value": 4.0}, "B": {"value": 0.5}},
    "random": [{"of": "A", "variance": 0.1}, {"of": "B", "variance": 0.1}],
    "outputs": {"first": {"error": {"log": 0.2}}, "second": {"error": {"log": 0.2}}},
}


def stream(folder, rows, head=HEAD):
    return written(folder, rows, head, "stream.csv")


@pytest.mark.slow
def test_the_order_of_records_changes_nothing(tmp_path):
    """The posterior after n updates in any order is that of all records at once."""
    model = load_model(STILL)
    records = [
        Record(1.0, 5.0, "first"),
        Record(2.0, 6.5, "second"),
        Record(3.0, 3.0, "first"),
        Record(3.0, 2.0, "second", below=True),
    ]
    rows = ["1,1,5,1,0,.", "1,2,6.5,2,0,.", "1,3,3,1,0,.", "1,3,.,2,1,2"]
    path = written(tmp_path, rows, "ID,TIME,DV,DVID,BLQ,LLOQ")
    batch = posterior(model, read_study(model, path), draws=200)
    for order in itertools.islice(itertools.permutations(records), 0, 24, 23):
        twin = Twin(model, draws=200)
        for record in order:
            twin = twin.update(record)
        np.testing.assert_array_equal(twin.posterior.modes.eta, batch.modes.eta)
        np.testing.assert_array_equal(twin.posterior.draws, batch.draws)


def test_a_record_with_a_known_key_is_corrected(known):
    twin = Twin(known, draws=200).update(Record(0.0, 100.0, kind="dose", key="a"))
    twin = twin.update(Record(1.0, 50.0, "cleared", key="b"))
    twin = twin.update(Record(1.5, 5.0, "cleared", key="b"))
    assert [one.value for one in twin.records] == [100.0, 5.0]
    with pytest.raises(FitError, match="without a record"):
        Twin(known).posterior.draws.sum()
    with pytest.raises(DataError, match="clered"):
        twin.update(Record(2.0, 5.0, "clered")).study.subjects  # noqa: B018


def test_a_stream_is_put_in_order(known, tmp_path):
    rows = [
        f"anna,{DAY}10:00:00Z,35669-1,5,L/h,m1,1,final,",
        f"anna,{DAY}09:00:00Z,DRUG,0.1,g,d1,1,final,{DAY}10:00:00+00:00",
        f"anna,{DAY}12:00:00+01:00,35669-1,65,L/h,m2,1,final,",
        f"anna,{DAY}12:00:00+01:00,35669-1,6.5,L/h,m2,2,corrected,",
        f"anna,{DAY}10:00:00Z,35669-1,5,L/h,m1,1,final,",
        f"anna,{DAY}13:00:00Z,20578-1,3,mg/L,m3,1,entered-in-error,",
        f"anna,{DAY}14:00:00Z,20578-1,,mg/L,m4,1,final,",
        f"anna,{DAY}15:00:00Z,8867-4,90,/min,m5,1,final,",
        f"anna,{DAY}16:00:00Z,20578-1,<500,ug/L,m6,1,final,",
        f"bert,{DAY}09:00:00Z,DRUG,100,mg,d2,1,final,",
    ]
    found = read_stream(known, stream(tmp_path, rows), CODES)
    wanted = {"corrected": 1, "duplicated": 1, "withdrawn": 1, "missing": 1}
    wanted |= {"not asked for": 1, "late": 1}
    assert found.counts == wanted
    cells = found.rows.cells
    assert "anna" not in cells.to_csv()
    assert cells["ID"].tolist() == ["1", "1", "1", "1", "2"]
    study = found.study(known)
    data = study.data
    assert study.subjects == 2
    real = data.real[0]
    np.testing.assert_allclose(np.asarray(data.times.time)[0][real], [1.0, 2.0, 7.0])
    np.testing.assert_allclose(data.values[0][real], [5.0, 6.5, 0.5])
    assert data.below[0][real].tolist() == [False, False, True]
    assert np.asarray(data.doses.amount)[0, 0] == pytest.approx(100.0)
    assert np.asarray(data.doses.rate)[0, 0] == pytest.approx(100.0)
    named = read_stream(known, stream(tmp_path, rows), CODES, identities=True)
    assert named.rows.cells["ID"].tolist()[-1] == "bert"


def test_every_fault_of_a_stream_is_told_by_line(known, tmp_path):
    rows = [
        f"anna,{DAY}25:00:00Z,35669-1,5,L/h,m1,1,final,",
        f"anna,{DAY}10:00:00Z,35669-1,five,L/h,m2,1,final,",
        f"anna,{DAY}10:00:00Z,35669-1,5,kg,m3,1,final,",
        f"anna,{DAY}10:00:00,35669-1,5,L/h,m4,1,done,",
        f",{DAY}10:00:00Z,35669-1,5,L/h,m5,1,final,",
        f"anna,{DAY}10:00:00Z,DRUG,5,mg,m6,1,final,{DAY}09:00:00Z",
    ]
    with pytest.raises(DataError) as told:
        read_stream(known, stream(tmp_path, rows), CODES)
    lines = {(fault.line, fault.at.split()[-1]) for fault in told.value.faults}
    wanted = {(2, "time"), (3, "value"), (4, "unit"), (5, "time"), (6, "person")}
    assert wanted | {(7, "end")} <= lines
    rows = [f"anna,{DAY}10:00:00Z,DRUG,{n},mg,m6,1,done," for n in (5, 6)]
    with pytest.raises(DataError, match="again, with another content") as told:
        read_stream(known, stream(tmp_path, rows), CODES)
    assert "`done`" in str(told.value)


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ({"35669-2": "cleared"}, "Write `35669-1`"),
        ({"X": "clered"}, "Write `cleared`"),
        ({"X": "dose into nowhere"}, "dose into central"),
    ],
)
def test_codes_that_mean_nothing_are_told(known, tmp_path, codes, words):
    path = stream(tmp_path, [f"a,{DAY}10:00:00Z,X,5,L/h,,,,"])
    with pytest.raises(DataError, match="code") as told:
        read_stream(known, path, codes)
    assert words in str(told.value)
