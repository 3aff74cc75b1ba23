"""The error over a null hypothesis: simulated, bounded between, drawn, or refused."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from vtrial.conduct.null_rates import null_line, read_interval
from vtrial.errors import ProtocolError
from vtrial.protocol.load import load_protocol
from vtrial.report.null_rates import null_in_words, plot_null

SHEET = """
protocol: one-look
model: theophylline
cohort: theophylline-twelve
subjects: 40
potential: all
seed: 5
arms:
  low: {dose: 100 mg}
  high: {dose: 200 mg}
visits: {a: {at: "4 h, 8 h", measure: [conc]}}
endpoints:
  reached: {of: conc, take: maximum, above: 5 mg/L}
  peak: {of: conc, take: maximum}
analysis:
  - {name: main, compare: high with low, on: reached, by: risk difference}
design:
  randomisation: {permuted block: 2}
  looks: {end: 100 %}
  adapt:
    stop: {by: posterior probability, success: 97.5 %}
"""


@pytest.fixture(scope="module")
def protocol():
    return load_protocol(SHEET)


@pytest.fixture(scope="module")
def table(protocol):
    return null_line(protocol, "20 % to 60 %", points=5, trials=400)


def exact(rate):
    """Return how often a Wald interval of 20 and 20 leaves out a difference above 0."""
    r, s = np.meshgrid(np.arange(21), np.arange(21), indexing="ij")
    p, q = r / 20, s / 20
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 20)
    mass = np.outer(*[stats.binom.pmf(np.arange(21), 20, rate)] * 2)
    return mass[z >= stats.norm.ppf(0.975)].sum()


def test_it_is_simulated_at_points_and_bounded_between(table):
    points = table[table["simulated"]]
    assert len(points) == 5
    true = np.array([exact(rate) for rate in points["rate"]])
    # Four errors at five rates: a false alarm in 3,000.
    error = np.sqrt(true * (1 - true) / 400)
    assert (np.abs(points["error"] - true) < 4 * error).all()
    assert (points["upper"] > points["error"]).all()
    everywhere = np.array([exact(rate) for rate in table["rate"]])
    assert (table["bound"] > everywhere).all()
    assert (table["from_here"][:-1] >= np.minimum(*_ends(table)) * (1 - 1e-12)).all()
    assert points["bound"].to_numpy() == pytest.approx(points["upper"], rel=2e-3)
    assert len(null_in_words(table)) == 5


def _ends(table):
    """Return the bounds at both ends of what is between two rows."""
    bound = table["bound"].to_numpy()
    return bound[:-1], bound[1:]


def test_it_is_drawn(table, tmp_path):
    path = plot_null(table, tmp_path / "null.svg")
    assert "Rate of response" in path.read_text()


def test_what_is_no_response_is_refused(protocol):
    numbers = load_protocol(
        SHEET.replace(
            "on: reached, by: risk difference", "on: peak, by: difference of means"
        )
    )
    with pytest.raises(ProtocolError, match="which is no response"):
        null_line(numbers, "20 % to 60 %")
    silent = dataclasses.replace(protocol, enactment=None)
    with pytest.raises(ProtocolError, match="without looks"):
        null_line(silent, "20 % to 60 %")
    with pytest.raises(ProtocolError, match="10 % to 60 %"):
        read_interval("60 % to 10 %")
    with pytest.raises(ProtocolError, match="--points"):
        null_line(protocol, "20 % to 60 %", points=1)
