"""Population parameters from a file: a row a replicate, or what NONMEM estimated."""

import numpy as np
import pytest
from scipy import stats

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


@pytest.mark.slow
def test_a_replicate_takes_a_row_in_order(sheets):
    asked(sheets, "parameters: boot.csv\n", boot_csv="tvCL,tvV\n4,40\n6,60\n")
    protocol, found = drawn(sheets)
    assert protocol.uncertain
    np.testing.assert_array_equal(found["tvCL"], [4, 6, 4])
    np.testing.assert_array_equal(found["tvV"], [40, 60, 40])
    np.testing.assert_array_equal(found["tvKA"], [1, 1, 1])
    _, known = drawn(sheets, uncertainty=False)
    np.testing.assert_array_equal(known["tvCL"], [5, 5, 5])


@pytest.mark.slow
def test_columns_may_have_other_names(sheets):
    text = "parameters: {file: boot.csv, columns: {tvV: V}}\n"
    asked(sheets, text, boot_csv="CL;V\n4;40,5\n6;60,5\n")
    _, found = drawn(sheets)
    np.testing.assert_array_equal(found["tvV"], [40.5, 60.5, 40.5])
    np.testing.assert_array_equal(found["tvCL"], [5, 5, 5])


@pytest.mark.slow
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


@pytest.mark.slow
def test_estimates_without_a_covariance_are_known(sheets):
    asked(sheets, RUN, run1_ext=EXT)
    protocol, found = drawn(sheets)
    assert not protocol.uncertain
    assert set(found["tvCL"]) == {5.25}


WHOLE = """TABLE NO.     1: First Order Conditional Estimation: Problem=1
 ITERATION    THETA1       OMEGA(1,1)   OMEGA(2,1)   OMEGA(2,2)   OMEGA(3,3)   OBJ
  -1000000000  5.25000E+00  1.60000E-01  2.00000E-02  4.00000E-02  9.00000E-02   98.2
"""
OMEGA = "parameters: {file: run1.ext, omega: {eta.V: ETA1, eta.CL: ETA2}, df: 30}\n"


@pytest.mark.slow
def test_random_effects_vary_as_omega_of_a_run(sheets):
    asked(sheets, OMEGA, run1_ext=WHOLE)
    protocol, _ = drawn(sheets)
    (block,) = protocol.model.random
    assert block.names == ("CL", "V")
    assert block.covariance == ((0.04, 0.02), (0.02, 0.16))
    assert block.freedom == 30
    assert protocol.uncertain


@pytest.mark.slow
def test_degrees_of_freedom_need_no_file(sheets):
    """A quarter of the variances lie beyond each quartile of n V / chi-squared(n - 1).

    Four standard errors, and what each variance errs by itself.
    """
    asked(sheets, "parameters: {df: {eta.CL: 20}}\n")
    protocol = sheets.load()
    many, each = 200, 250
    people = sample(
        load_cohort(sheets.folder / "folk.yaml"),
        protocol.model,
        seed=1,
        replicate=np.repeat(np.arange(many), each),
        subject=np.tile(np.arange(each), many),
    )
    spread = np.asarray(people.effects["eta.CL"]).reshape(many, each).var(axis=1)
    low, high = 20 * 0.09 / stats.chi2(19).ppf([0.75, 0.25])
    error = 4 * np.sqrt(0.25 * 0.75 / many)
    assert abs((spread < low).mean() - 0.25) < error + 0.03  # each has an error, too
    assert abs((spread > high).mean() - 0.25) < error + 0.03


@pytest.mark.parametrize(
    ("text", "ext", "message"),
    [
        ("{omega: {eta.CL: ETA1}}", WHOLE, "of one, which `file` names"),
        ("{columns: {tvCL: CL}}", WHOLE, "a CSV file beside the sheet"),
        (
            "{file: run1.ext, omega: {eta.KA: ETA1}}",
            WHOLE,
            "a random effect: eta.V or eta.CL",
        ),
        ("{file: run1.ext, omega: {eta.CL: ETA1}}", WHOLE, "for all of eta.CL, eta.V"),
        ("{file: run1.ext, omega: {eta.CL: ETA1, eta.V: ETA9}}", WHOLE, "ETA1 to ETA3"),
        ("{df: 1}", WHOLE, "above 1, for so many effects (eta.CL, eta.V)"),
        ("{df: {eta.KA: 5}}", WHOLE, "a random effect: eta.V or eta.CL"),
        (
            "{file: run1.ext, omega: {eta.CL: ETA1, eta.V: ETA2}}",
            WHOLE.replace("2.00000E-02", "2.00000E+00"),
            "positive semi-definite",
        ),
        (
            "{file: run1.ext, omega: {eta.CL: ETA1, eta.V: ETA2}}",
            WHOLE.replace("-1000000000", "1"),
            "a run that ended",
        ),
    ],
)
def test_what_gives_no_covariance_is_told(sheets, text, ext, message):
    found = asked(sheets, f"parameters: {text}\n", run1_ext=ext).refused()
    assert message in " ".join(map(str, found.values()))


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
