"""Memory is bounded by the block, not by the trial."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import vtrial as vt

if __name__ == "__main__":
    sheet, out, replicates = sys.argv[1:]
    protocol = vt.load_protocol(sheet, changes={"replicates": int(replicates)})
    vt.run(protocol, out=out, workers=0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(sheet, out, replicates):
    """Run in a process of its own and return its largest memory [kB]."""
    command = [sys.executable, "-c", CODE, str(sheet), str(out), str(replicates)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
def test_ten_times_the_subjects_take_no_more_memory(sheets, tmp_path):
    sheets.change("small", "subjects: 30", "subjects: 500")
    sheets.change("small", "block: 25", "block: 1000")
    sheet = sheets.write()
    few = peak(sheet, tmp_path / "few", 20)
    many = peak(sheet, tmp_path / "many", 200)
    assert many < 1.1 * few, f"{few} kB for 10,000 subjects, {many} kB for 100,000"
