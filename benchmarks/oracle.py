"""Random bodies of a family, and their solutions by SciPy at 1e-10 or better.

A body is drawn from the seed, its family's name and its number alone, so that one can
be looked at apart. SciPy goes from dose to dose, end of infusion to end of infusion and
jump to jump; what it found is kept under `results/`, by what it was asked.
"""

import hashlib
import inspect
import math
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.integrate import ode, solve_ivp

from benchmarks.family import Family, Numbers, Slopes

SEED = 2025
MOST_DOSES = 6
SPARSE, DENSE = 16, 320  # observations
FOLDER = Path(__file__).parents[1] / "results" / "bodies"
BETWEEN = np.array([0.01, 0.03, 0.1, 0.3, 0.6])  # where peaks are looked for
ACCURATE = {"dop853": 1e-11, "lsoda": 1e-12}
MANY = 1_000_000  # steps


class How(NamedTuple):
    """How SciPy integrates: by "dop853" or "lsoda" of `ode`, or as `solve_ivp` can."""

    method: str
    rtol: float
    atol: float


class Body(NamedTuple):
    """Numbers, doses (time, place, amount, rate; padded with inf) and times [h]."""

    numbers: Numbers
    time: np.ndarray
    place: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    looks: np.ndarray


def draw_body(family: Family, number: int, *, dense: bool) -> Body:
    """Draw a body."""
    name = zlib.crc32(family.name.encode())
    rng = np.random.default_rng([SEED, name, number, int(dense)])
    numbers = {
        key: draw_number(rng, range_[0], range_[1], *range_[2:])
        for key, range_ in family.ranges.items()
    }
    doses = _draw_doses(family, rng)
    return Body(numbers, *doses, _draw_looks(family, rng, doses, dense))


def draw_number(
    rng: np.random.Generator, low: float, high: float, how: str = ""
) -> float:
    """Draw evenly in the logarithm, or as it is said."""
    if how == "even":
        return float(rng.uniform(low, high))
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _draw_doses(
    family: Family, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw one dose, a regular course, a crowd of overlapping ones, or any times."""
    time = np.full(MOST_DOSES, np.inf)
    place, amount, rate = (np.zeros(MOST_DOSES) for _ in range(3))
    if not family.into:
        return time, place.astype(int), amount, rate
    count = int(rng.integers(1, MOST_DOSES + 1))
    style = rng.choice(["regular", "any", "close"])
    begin = 0.0 if rng.random() < 0.5 else rng.uniform(0, family.horizon / 4)
    span = (family.horizon - begin) * 0.9
    if style == "regular":
        found = begin + span / count * np.arange(count)
    elif style == "any":
        found = begin + np.sort(rng.uniform(0, span, count))
    else:
        found = begin + np.sort(rng.uniform(0, span / 20, count))
    into = [str(name) for name in rng.choice(list(family.into), count)]
    time[:count] = np.round(found, 3)
    place[:count] = [family.states.index(name) for name in into]
    size = draw_number(rng, 0.3, 1.0)
    for i, name in enumerate(into):
        low, high = family.into[name]
        middle = (
            draw_number(rng, low, high) if i == 0 or rng.random() < 0.3 else amount[0]
        )
        amount[i] = np.clip(middle * size, low, high)
    lasts = np.exp(rng.uniform(math.log(0.05), math.log(span / 3), count))
    infused = rng.random(count) < (
        0.5 if len(family.kinds) > 1 else float("infusion" in family.kinds)
    )
    rate[:count] = np.where(infused, amount[:count] / lasts, 0.0)
    return time, place.astype(int), amount, rate


def _draw_looks(
    family: Family,
    rng: np.random.Generator,
    doses: tuple[np.ndarray, ...],
    dense: bool,
) -> np.ndarray:
    """Draw times: some at doses, some just after, the others anywhere."""
    time, _, amount, rate = doses
    real = np.isfinite(time)
    count = DENSE if dense else SPARSE
    if dense and rng.random() < 0.5:
        return np.linspace(0.0, family.horizon, count)
    ends = time[real] + amount[real] / np.where(rate[real] > 0, rate[real], np.inf)
    known = np.concatenate([time[real], ends, time[real] + rng.exponential(0.3)])
    known = known[known <= family.horizon]
    known = rng.choice(known, min(known.size, count // 4), replace=False)
    others = rng.uniform(0, family.horizon, count - known.size - 1)
    return np.sort(np.concatenate([known, others, [family.horizon]]))


def solve_body(family: Family, body: Body, how: How | None = None) -> np.ndarray:
    """Return states and sizes (2, time, state) by SciPy; NaN from where it gives up.

    A size is the highest absolute value so far, between observations and after doses,
    too. What turns out to be stiff after all is given to "lsoda".
    """
    if how:
        return _walk(family, body, how)
    if not family.stiff:
        found = _walk(family, body, accurate("dop853", family.scale))
        if np.isfinite(found).all():
            return found
    return _walk(family, body, accurate("lsoda", family.scale))


def solve_again(family: Family, body: Body) -> np.ndarray:
    """Return them by another method of SciPy, a second opinion on the truth."""
    if not family.stiff:
        found = _walk(family, body, accurate("lsoda", family.scale))
        if np.isfinite(found).all():
            return found
    return _walk(family, body, How("Radau", 1e-11, 1e-13 * family.scale))


def accurate(method: str, scale: float = 1.0) -> How:
    """Return how the truth is found: "dop853" or "lsoda", as finely as they can."""
    return How(method, ACCURATE[method], 1e-13 * scale)


def _walk(family: Family, body: Body, how: How) -> np.ndarray:
    """Integrate from event to event."""
    state = np.array(family.start(body.numbers), float)
    size = np.abs(state)
    seen = np.full((2, body.looks.size, state.size), np.nan)
    cuts, given, rates = _events(family, body)
    begin = min(0.0, cuts[0])
    done = int(np.searchsorted(body.looks, begin, side="right"))
    seen[:, :done] = np.stack([state, size])[:, None]  # at a dose, before it
    rate = np.zeros(state.size)
    for now, until in zip(cuts, [*cuts[1:], np.inf], strict=True):
        state = state + given.get(now, 0.0)
        rate = rate + rates.get(now, 0.0)
        last = int(np.searchsorted(body.looks, until, side="right"))
        points = body.looks[done:last]
        end = until if np.isfinite(until) else (points[-1] if points.size else now)
        last_dose = max([-np.inf, *body.time[body.time <= now]])
        numbers = body.numbers | {"last": float(last_dose)}
        slopes = _with_rate(family.slopes(numbers, 0.5 * (now + end)), rate)
        if end > now:
            between = now + (end - now) * BETWEEN
            asked = np.unique(np.concatenate([points, between, [end]]))
            found = integrate(slopes, state, np.append(now, asked), how=how)
            sizes = np.maximum.accumulate([size, np.abs(state), *np.abs(found)])[2:]
            where = np.searchsorted(asked, points)
            seen[:, done:last] = found[where], sizes[where]
            state, size = found[-1], sizes[-1]
        if not np.isfinite(state).all():
            break
        done = last
    return seen


def _events(
    family: Family, body: Body
) -> tuple[list[float], dict[float, np.ndarray], dict[float, np.ndarray]]:
    """Return the times at which something happens, what is given and what runs."""
    given: dict[float, np.ndarray] = {0.0: np.zeros(len(family.states))}
    rates: dict[float, np.ndarray] = {}

    def add(where: dict[float, np.ndarray], time: float, place: int, what: float):
        where.setdefault(time, np.zeros(len(family.states)))[place] += what

    for time, place, amount, rate in zip(
        body.time, body.place, body.amount, body.rate, strict=True
    ):
        if not np.isfinite(time):
            continue
        if rate > 0:
            add(rates, float(time), place, rate)
            add(rates, float(time + amount / rate), place, -rate)
        else:
            add(given, float(time), place, amount)
    last = float(body.looks[-1])
    jumps = [t for t in family.breaks(body.numbers) if 0 < t < last]
    cuts = sorted(t for t in {*given, *rates, *jumps} if t <= last)
    return cuts, given, rates


def _with_rate(slopes: Slopes, rate: np.ndarray) -> Slopes:
    """Add infusions to derivatives."""
    running = [(i, float(r)) for i, r in enumerate(rate) if r > 1e-12 * rate.max()]
    if not running:
        return slopes

    def both(t: float, y: list[float]) -> list[float]:
        found = slopes(t, y)
        for i, r in running:
            found[i] += r
        return found

    return both


def integrate(
    slopes: Slopes,
    state: np.ndarray,
    points: np.ndarray,
    *,
    how: How,
) -> np.ndarray:
    """Integrate from the first point to the others; NaN from where SciPy gives up."""
    seen = np.full((points.size - 1, state.size), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it failed is seen in its numbers
        if how.method not in ACCURATE:
            found = solve_ivp(
                lambda t, y: slopes(t, y.tolist()),
                (points[0], points[-1]),
                state,
                how.method,
                t_eval=points[1:],
                rtol=how.rtol,
                atol=how.atol,
            )
            reached = np.array(found.y).reshape(state.size, -1).T
            seen[: len(reached)] = reached
            return seen
        solver = ode(lambda t, y: slopes(t, y.tolist()))
        solver.set_integrator(how.method, rtol=how.rtol, atol=how.atol, nsteps=MANY)
        solver.set_initial_value(state, points[0])
        for i, point in enumerate(points[1:]):
            solver.integrate(point)
            if not solver.successful():
                break
            seen[i] = solver.y
    return seen


def solutions(
    family: Family, count: int, *, dense: bool, folder: Path = FOLDER
) -> tuple[list[Body], np.ndarray]:
    """Draw the first bodies of a family and solve them, or read what was solved."""
    bodies = [draw_body(family, i, dense=dense) for i in range(count)]
    path = folder / f"{_key(family, dense)}.npy"
    known = np.load(path) if path.exists() else None
    done = 0 if known is None else len(known)
    if done >= count:
        return bodies, known[:count]  # type: ignore[index]
    fresh = np.stack([solve_body(family, body) for body in bodies[done:]])
    whole = fresh if known is None else np.concatenate([known, fresh])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        np.save(file, whole)
    Path(file.name).replace(path)
    return bodies, whole


def _key(family: Family, dense: bool) -> str:
    """Name what determines the solutions: how is drawn, what is solved, and how."""
    parts = [
        *(draw_body, draw_number, _draw_doses, _draw_looks, solve_body, _walk, _events),
        *(integrate, accurate, _with_rate, family.slopes, family.start, family.breaks),
    ]
    said = [inspect.getsource(part) for part in parts]
    said += [repr(getattr(family, k)) for k in ("ranges", "into", "kinds", "horizon")]
    said += [repr((SEED, ACCURATE, BETWEEN, MOST_DOSES, SPARSE, DENSE, family.stiff))]
    said += [repr((family.scale, family.name, family.states, dense))]
    word = "".join(c if c.isalnum() else "-" for c in family.name)
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]
    return f"{word}-{'dense' if dense else 'sparse'}-{digest}"
