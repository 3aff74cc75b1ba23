"""Linear normal models with chance, and Kalman's filter, which is exact for them."""

import math

import numpy as np

from tests.twin.conftest import written

KEEPS, STEP, ERROR = 0.9, 0.5, 0.4
SHEET = {
    "model": "walk",
    "equations": "init(x) = eta.X0\nlevel = x",
    "parameters": {"KEEPS": {"value": KEEPS}, "STEP": {"value": STEP}},
    "random": [{"of": "X0", "variance": 1.0}],
    "every 1 h": "x <- KEEPS*x + STEP*normal(x)",
    "outputs": {"level": {"error": {"additive": ERROR}}},
}
LITTLE, LONG, PEOPLE = 0.1, 20, 6
DRIFT = {
    "model": "drift",
    "equations": "init(x) = 0\nmean = eta.M\nlevel = x + mean",
    "parameters": {"KEEPS": {"value": KEEPS}, "STEP": {"value": LITTLE}},
    "random": [{"of": "M", "variance": 4.0}],
    "every 1 h": "x <- KEEPS*x + STEP*normal(x)",
    "outputs": {"level": {"error": {"additive": ERROR}}, "mean": {}},
}
TIMES = (1, 2, 3, 5, 6, 8)


def kalman(values):
    """Return log p(y), and mean and variance of the level at each measurement."""
    mean, variance, total, clock, found = 0.0, 1.0, 0.0, 0, []
    for time, value in zip(TIMES, values, strict=True):
        for _ in range(time - clock):
            mean, variance = KEEPS * mean, KEEPS**2 * variance + STEP**2
        clock, size = time, variance + ERROR**2
        total -= 0.5 * (math.log(2 * math.pi * size) + (value - mean) ** 2 / size)
        gain = variance / size
        mean, variance = mean + gain * (value - mean), (1 - gain) * variance
        found.append((mean, variance))
    return total, np.array(found)


def walks(folder, of=float):
    """Write what was measured of eight persons who walk, and return where."""
    draw = np.random.default_rng(5)
    rows = []
    for person in range(1, 9):
        level = draw.normal()
        for hour in range(1, TIMES[-1] + 1):
            level = KEEPS * level + STEP * draw.normal()
            if hour in TIMES:
                seen = level + ERROR * draw.normal()
                rows.append(f"{person},{hour},{of(seen):.4f}")
    return written(folder, rows, "ID,TIME,DV")


def known_mean(values):
    """Return mean and deviation of what does not move, behind the last measurement.

    Kalman's filter of two states: the level without its mean, and that mean.
    """
    mean, spread = np.zeros(2), np.diag([0.0, 4.0])
    goes, jumps, sees = np.diag([KEEPS, 1.0]), np.diag([LITTLE**2, 0.0]), np.ones(2)
    for value in values:
        mean, spread = goes @ mean, goes @ spread @ goes.T + jumps
        gain = spread @ sees / (sees @ spread @ sees + ERROR**2)
        mean = mean + gain * (value - sees @ mean)
        spread = spread - np.outer(gain, sees @ spread)
    return mean[1], math.sqrt(spread[1, 1])


def drifts(folder):
    """Write what was measured of persons about their own means; return it, too."""
    draw = np.random.default_rng(7)
    walks = np.zeros((PEOPLE, LONG))
    level, means = np.zeros(PEOPLE), 2.0 * draw.normal(size=PEOPLE)
    for hour in range(LONG):
        level = KEEPS * level + LITTLE * draw.normal(size=PEOPLE)
        walks[:, hour] = level + means + ERROR * draw.normal(size=PEOPLE)
    rows = [
        f"{person + 1},{hour + 1},{walks[person, hour]:.6f}"
        for person in range(PEOPLE)
        for hour in range(LONG)
    ]
    return written(folder, rows, "ID,TIME,DV"), walks
