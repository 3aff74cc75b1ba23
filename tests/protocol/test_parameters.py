"""Population parameters from a file: a row a replicate, or what NONMEM estimated."""

import numpy as np
import pytest

from vtrial.cohort.draw import sample
from vtrial.cohort.sheet import load_cohort

# The layout of NONMEM's raw output: a title, and columns parted by blanks.
EXT = """TABLE NO.     1: First Order Conditional Estimation: Problem=1
 ITERATION    THETA1       THETA2       SIGMA(1,1)   OMEGA(1,1)   OBJ
            0  4.00000E+00  4.50000E+01  1.00000E-02  9.00000E-02   120.5
  -1000000000  5.25000E+00  4.80000E+01  2.25000E-02  8.10000E-02   98.25
  -1000000001  2.10000E-01  2.40000E+00  1.00000E-03  9.00000E-03   0.0
"""
COV = """TABLE NO.     1: First Order Conditional Estimation: Problem=1
 NAME              THETA1       THETA2       SIGMA(1,1)   OMEGA(1,1)
 THETA1             4.41000E-02  2.52000E-01  0.00000E+00  0.00000E+00
 THETA2             2.52000E-01  5.76000E+00  0.00000E+00  0.00000E+00
 SIGMA(1,1)         0.00000E+00  0.00000E+00  1.00000E-06  0.00000E+00
 OMEGA(1,1)         0.00000E+00  0.00000E+00  0.00000E+00  8.10000E-05
"""
RUN = "parameters: {file: run1.ext, columns: {tvCL: THETA1, tvV: THETA2}}\n"


def drawn(sheets, count=3, **options):
    """Draw one subject of each replicate of the small trial."""
    protocol = sheets.load()
    found = sample(
        load_cohort(sheets.folder / "folk.yaml"),
        protocol.model,
        seed=1,
        replicate=np.arange(count),
        subject=np.zeros(count, int),
        **options,
    )
    return protocol, {name: np.asarray(v) for name, v in found.parameters.items()}


def asked(sheets, text, **files):
    """Let the protocol take parameters from files."""
    sheets.change("small", "seed: 11", f"seed: 11\n{text}")
    sheets.write()
    for name, body in files.items():
        (sheets.folder / name.replace("_", ".")).write_text(body)
    return sheets


def test_a_replicate_takes_a_row_in_order(sheets):
    asked(sheets, "parameters: boot.csv\n", boot_csv="tvCL,tvV\n4,40\n6,60\n")
    protocol, found = drawn(sheets)
    assert protocol.uncertain
    np.testing.assert_array_equal(found["tvCL"], [4, 6, 4])
    np.testing.assert_array_equal(found["tvV"], [40, 60, 40])
    np.testing.assert_array_equal(found["tvKA"], [1, 1, 1])
    _, known = drawn(sheets, uncertainty=False)
    np.testing.assert_array_equal(known["tvCL"], [5, 5, 5])


def test_columns_may_have_other_names(sheets):
    text = "parameters: {file: boot.csv, columns: {tvV: V}}\n"
    asked(sheets, text, boot_csv="CL;V\n4;40,5\n6;60,5\n")
    _, found = drawn(sheets)
    np.testing.assert_array_equal(found["tvV"], [40.5, 60.5, 40.5])
    np.testing.assert_array_equal(found["tvCL"], [5, 5, 5])


def test_estimates_of_nonmem_and_their_covariance(sheets):
    """The correlation is 0.252/sqrt(0.0441*5.76) = 0.5; 4 errors of what is found."""
    asked(sheets, RUN, run1_ext=EXT, run1_cov=COV)
    protocol, found = drawn(sheets, 4096)
    values = {p.name: p.value for p in protocol.model.parameters}
    assert values == {"tvKA": 1.0, "tvCL": 5.25, "tvV": 48.0}
    for name, sd in (("tvCL", 0.21), ("tvV", 2.4)):
        assert abs(found[name].mean() - values[name]) < 4 * sd / 64
        assert abs(found[name].std() - sd) < 4 * sd / 90
    correlation = np.corrcoef(found["tvCL"], found["tvV"])[0, 1]
    assert abs(correlation - 0.5) < 4 * 0.75 / 64
    assert set(found["tvKA"]) == {1.0}


def test_estimates_without_a_covariance_are_known(sheets):
    asked(sheets, RUN, run1_ext=EXT)
    protocol, found = drawn(sheets)
    assert not protocol.uncertain
    assert set(found["tvCL"]) == {5.25}


@pytest.mark.parametrize(
    ("text", "files", "message"),
    [
        ("parameters: none.csv", {}, "none.csv"),
        ("parameters: a.csv", {"a_csv": "X,Y\n1,2\n"}, "columns of tvKA, tvCL, tvV"),
        ("parameters: a.csv", {"a_csv": "tvCL\n1\nx\n"}, "a number"),
        ("parameters: a.csv", {"a_csv": "tvCL\n1\n.\n"}, "given in every row"),
        ("parameters: {file: a.csv, columns: {tvCLL: A}}", {}, "`tvCLL`"),
        (
            "parameters: {file: a.csv, columns: {tvCL: A}}",
            {"a_csv": "B\n1\n"},
            "without `A`",
        ),
        ("parameters: run1.ext", {"run1_ext": EXT}, "which THETA is which parameter"),
        (RUN, {"run1_ext": EXT.replace("-1000000000", "1")}, "a run that ended"),
        (RUN, {"run1_ext": EXT.replace("THETA2", "THETA3")}, "without THETA2"),
        (RUN, {"run1_ext": EXT.replace("98.25", "")}, "parted by blanks"),
        (
            RUN,
            {"run1_ext": EXT, "run1_cov": COV.replace("2.52000E-01", "9.0")},
            "positive semi-definite",
        ),
        (
            RUN,
            {"run1_ext": EXT, "run1_cov": COV.replace("THETA2  ", "THETA9  ")},
            "without THETA2",
        ),
    ],
)
def test_files_that_give_no_parameters_are_told(sheets, text, files, message):
    found = asked(sheets, f"{text}\n", **files).refused()
    assert message in " ".join(map(str, found.values()))
