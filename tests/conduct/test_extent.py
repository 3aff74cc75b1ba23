"""How much a trial takes is known before it starts, and too much is refused."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import vtrial as vt
from vtrial.conduct.extent import MUCH, bytes_held, size_words

CODE = """
import json, resource, sys
import vtrial as vt

if __name__ == "__main__":
    protocol = vt.load_protocol(sys.argv[1])
    vt.run(protocol, out=sys.argv[2], workers=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"held": vt.plan(protocol).held, "peak": peak}))
"""


def large(sheets, *, times, block, visits=4):
    """Ask for many times, visits, or subjects at once."""
    at = ", ".join(f"{25 + 23 * i / visits:.4f} h" for i in range(visits))
    sheets.change("small", "25 h, 28 h, 36 h, 48 h", at)
    sheets.change("small", "subjects: 30", f"subjects: {block}")
    sheets.change("small", "replicates: 4", "replicates: 2")
    step = 48 / times
    return sheets.change(
        "small", "block: 25", f"block: {block}\ngrid: {{every: {step} h}}"
    )


def test_a_block_that_no_process_can_hold_is_refused(sheets):
    large(sheets, times=17_000, visits=50, block=100_000)
    with pytest.raises(vt.VtrialError) as caught:
        vt.plan(sheets.load())
    (fault,) = caught.value.faults
    assert fault.at == "block"
    assert "100,000 subjects x 17,0" in fault.found
    assert "GB at once" in fault.found
    assert fault.allowed == "at most 16 GB"
    assert fault.line > 0
    sheets.change("small", "block: 100000", fault.write)
    assert 15e9 < vt.plan(sheets.load()).held <= 16e9


def test_what_takes_too_much_whatever_the_block_is_told_so(sheets, monkeypatch):
    monkeypatch.setattr("vtrial.conduct.extent.MOST", 1e6)
    large(sheets, times=17_000, block=10)
    with pytest.raises(vt.VtrialError, match="trajectories: nothing"):
        vt.plan(sheets.load())


def test_a_run_tells_of_much_memory_and_of_a_full_disk(
    sheets, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("vtrial.conduct.extent.MUCH", 3e5)
    monkeypatch.setattr("shutil.disk_usage", lambda _place: SimpleNamespace(free=2))
    vt.run(sheets.load(), out=tmp_path / "run", workers=0)
    told = capsys.readouterr().err
    assert "small: 25 subjects x 1" in told
    assert "`block: " in told
    assert "before compression, and 2 bytes are free there" in told


def test_a_run_of_the_usual_size_tells_nothing_of_it(sheets, tmp_path, capsys):
    vt.run(sheets.load(), out=tmp_path / "run", workers=0)
    assert "memory" not in capsys.readouterr().err


def test_a_plan_says_what_a_block_takes(sheets):
    planned = vt.plan(sheets.load())
    assert f"{size_words(planned.held)} for a block" in planned.words()
    assert planned.as_data()["bytes_held"] == planned.held
    assert planned.held == bytes_held(planned.protocol, planned.cohort)
    sheets.change("small", "block: 25", "block: 25\nnumerics: {precision: 32}")
    assert vt.plan(sheets.load()).held < planned.held


@pytest.mark.slow
def test_a_block_takes_what_was_foreseen(sheets, tmp_path):
    def peak(times, name):
        sheet = large(sheets, times=times, block=1_000).write()
        command = [sys.executable, "-c", CODE, str(sheet), str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    original = dict(sheets.texts)
    few = peak(500, "few")
    sheets.texts = original
    many = peak(10_000, "many")
    grown = many["peak"] - few["peak"]
    foreseen = many["held"] - few["held"]
    assert MUCH > foreseen > 5e8
    assert 0.5 * foreseen < grown < 1.5 * foreseen
