"""Non-compartmental numbers of one profile; `jax.vmap` makes them of many.

Areas and the terminal rate are those of `vtrial.endpoint.profile`.

References
----------
Gabrielsson J, Weiner D (2012) Methods Mol Biol 929:377-389.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vtrial.endpoint.points import Points, only_if
from vtrial.endpoint.profile import (
    Rule,
    Terminal,
    area,
    area_to,
    moment,
    terminal,
    top_time,
    until,
)
from vtrial.endpoint.quantification import quantified
from vtrial.jobs.nca_data import BOLUS, INFUSION

Blq = Literal[
    "zero before first",
    "zero before Tmax, missing after",
    "drop",
    "zero",
    "LLOQ/2",
    "LLOQ/2 once",
]
NEAR = 1e-9  # of an interval, within which a time is its end


class Profile(NamedTuple):
    """One profile as `Profiles` has it, without who it is of."""

    time: Float[Array, " time"]
    value: Float[Array, " time"]
    below: Bool[Array, " time"]
    dose: Float[Array, ""]
    duration: Float[Array, ""]
    route: Int[Array, ""]
    tau: Float[Array, ""]
    steady: Bool[Array, ""]
    alone: Bool[Array, ""]


def analyse(
    profile: Profile,
    limit: Float[Array, ""],
    spans: Float[Array, "span two"],
    *,
    rule: Rule,
    blq: Blq,
) -> dict[str, Array]:
    """Return the numbers of a profile by name; NaN where there is none.

    `spans` are the limits of partial areas, since the dose; `limit` is that of
    quantification, or a trifle where it is not known.
    """
    seen, whole, start = _points(profile, limit, blq)
    down = terminal(seen, with_top=profile.route == BOLUS)
    found = _seen(seen, whole, down)
    found |= _areas(profile, whole, down, rule)
    first = whole._replace(inside=whole.inside & (whole.time <= _second(whole)))
    inserted = whole.seen[0]  # only what was put at the dose stands there
    back = jnp.where(inserted, area(first, rule), 0.0)
    back = jnp.where(profile.route == BOLUS, back, jnp.nan)
    found["c0"] = jnp.where(profile.route == BOLUS, start, jnp.nan)
    found["back"] = 100.0 * back / found["auc_inf"]
    parts = [_between(whole, down, low, high, rule) for low, high in spans]
    found["partial"] = jnp.stack(parts) if parts else jnp.zeros(0)
    return found | _interval(profile, seen, whole, down, rule)


def _points(
    profile: Profile, limit: Float[Array, ""], blq: Blq
) -> tuple[Points, Points, Float[Array, ""]]:
    """Return what was seen, the same with a value at the dose, and that value.

    Without one it is extrapolated back (bolus), 0 (a first dose) or else the lowest.
    """
    time = profile.time
    value = jnp.where(profile.below, limit / 2, profile.value)
    there = jnp.isfinite(time) & jnp.isfinite(value)
    none = jnp.full((), jnp.nan)
    points = Points(time, value, there, there, none, jnp.zeros(()), there.sum())
    if blq == "zero before Tmax, missing after":
        small = there & (value < limit)
        early = small & (time < top_time(points._replace(inside=there & ~small)))
        kept = there & (~small | early)
        value = jnp.where(early, 0.0, value)
        seen = points._replace(value=value, seen=kept, inside=kept)
    elif blq == "LLOQ/2":
        seen = points
    else:
        seen = _quantified(points, limit, blq)
    start = _at_dose(profile, seen)
    inserted = ~(seen.seen & (time == 0)).any()
    slot = (jnp.arange(time.size) == 0) & inserted
    here = seen.seen | slot
    whole = seen._replace(
        time=jnp.where(slot, 0.0, time),
        value=jnp.where(slot, start, seen.value),
        seen=here,
        inside=here,
    )
    return seen, whole, jnp.where(inserted, start, seen.value[jnp.argmax(seen.seen)])


def _quantified(points: Points, limit: Float[Array, ""], blq: Blq) -> Points:
    """Apply a rule that endpoints have, too; the limit is data here."""
    scaled = points._replace(value=points.value / limit)
    ruled = quantified(scaled, 1.0, blq)  # type: ignore[arg-type] # those it knows
    zero = ruled.seen & (ruled.value == 0)
    return ruled._replace(value=jnp.where(zero, 0.0, points.value))


def _at_dose(profile: Profile, seen: Points) -> Float[Array, ""]:
    """Return what the value at the time of the dose is taken to be."""
    first = jnp.argmax(seen.seen)
    second = jnp.argmax(seen.seen & (jnp.arange(seen.time.size) > first))
    (t1, v1), (t2, v2) = ((seen.time[i], seen.value[i]) for i in (first, second))
    falls = (v1 > v2) & (v2 > 0) & (t2 > t1)
    slope = jnp.log(jnp.where(falls, v1 / jnp.where(falls, v2, 1.0), 1.0))
    slope = slope / jnp.where(falls, t2 - t1, 1.0)
    back = v1 * jnp.exp(slope * t1)
    span = jnp.where(jnp.isfinite(profile.tau), profile.tau * (1 + NEAR), jnp.inf)
    inside = seen.seen & (seen.time <= span)
    lowest = jnp.min(jnp.where(inside, seen.value, jnp.inf))
    fresh = profile.alone & ~profile.steady
    other = jnp.where(fresh, 0.0, lowest)
    return jnp.where(profile.route == BOLUS, back, other)


def _second(points: Points) -> Float[Array, ""]:
    """Return the time of the second point."""
    first = jnp.argmax(points.seen)
    later = points.seen & (jnp.arange(points.time.size) > first)
    return points.time[jnp.argmax(later)]


def _seen(seen: Points, whole: Points, down: Terminal) -> dict[str, Array]:
    """Return what is read off the values, and the fit of the terminal rate."""
    any_ = seen.inside.any()
    positive = whole.seen & (whole.value > 0)
    first = jnp.argmax(positive)
    before = whole.seen & (jnp.arange(whole.time.size) < first)
    place = jnp.max(jnp.where(before, jnp.arange(whole.time.size), -1))
    lag = jnp.where(place >= 0, whole.time[place], 0.0)
    top = jnp.argmax(jnp.where(seen.inside, seen.value, -jnp.inf))
    return {
        "cmax": only_if(any_, seen.value[top]),
        "tmax": only_if(any_, seen.time[top]),
        "tlag": only_if(positive.any(), lag),
        "clast": down.value,
        "tlast": down.time,
        "rate": down.rate,
        "half_life": jnp.log(2.0) / down.rate,
        "low": down.start,
        "high": only_if(jnp.isfinite(down.rate), down.time),
        "count": down.values,
        "square": down.square,
        "adjusted": down.adjusted,
        "correlation": -jnp.sqrt(down.square),
    }


def _areas(
    profile: Profile, whole: Points, down: Terminal, rule: Rule
) -> dict[str, Array]:
    """Return areas, residence times, clearance and volumes."""
    upto, zero = until(whole, down), jnp.zeros(())
    enough = upto.inside.sum() >= 2
    last = only_if(enough, area(upto, rule))
    first = only_if(enough, moment(upto, zero, rule))
    half = jnp.where(profile.route == INFUSION, profile.duration / 2, 0.0)
    found = {"auc_last": last, "auc_all": area(whole, rule), "aumc_last": first}
    found["mrt_last"] = first / last - half
    early = ~(profile.alone | profile.steady)  # what earlier doses left is in it
    rate = jnp.where(early | profile.steady, jnp.nan, down.rate)
    for end, value in (("", down.value), ("_pred", down.predicted)):
        rest = value / rate
        more = rest * down.time + rest / rate
        whole_area, whole_moment = last + rest, first + more
        found[f"auc_inf{end}"] = whole_area
        found[f"extrapolated{end}"] = 100.0 * rest / whole_area
        found[f"aumc_inf{end}"] = whole_moment
        found[f"aumc_extrapolated{end}"] = 100.0 * more / whole_moment
        found[f"mrt_inf{end}"] = whole_moment / whole_area - half
        found[f"cl{end}"] = profile.dose / whole_area
        found[f"vz{end}"] = profile.dose / whole_area / rate
        found[f"vss{end}"] = found[f"cl{end}"] * found[f"mrt_inf{end}"]
    return found


def _between(
    whole: Points,
    down: Terminal,
    low: Float[Array, ""],
    high: Float[Array, ""],
    rule: Rule,
) -> Float[Array, ""]:
    """Return the area between two times."""
    begin = whole.time[jnp.argmax(whole.seen)]

    def to(end: Float[Array, ""]) -> Float[Array, ""]:
        span = whole.seen & (whole.time <= end * (1 + NEAR))
        return area_to(whole._replace(inside=span), down, end, rule)

    return to(high) - jnp.where(low <= begin, 0.0, to(low))


def _interval(
    profile: Profile, seen: Points, whole: Points, down: Terminal, rule: Rule
) -> dict[str, Array]:
    """Return the numbers of a dosing interval; NaN where there is none."""
    tau = profile.tau
    inside = seen.seen & (seen.time <= tau * (1 + NEAR))
    auc = _between(whole, down, jnp.zeros(()), tau, rule)
    place = jnp.argmin(jnp.where(inside, seen.value, jnp.inf))
    least = only_if(inside.any(), seen.value[place])
    most = jnp.max(jnp.where(inside, seen.value, -jnp.inf))
    at_end = inside & (jnp.abs(seen.time - tau) <= NEAR * tau)
    cl = jnp.where(profile.steady, profile.dose / auc, jnp.nan)
    return {
        "auc_tau": auc,
        "c_average": auc / tau,
        "cmin": least,
        "tmin": only_if(inside.any(), seen.time[place]),
        "trough": only_if(at_end.any(), seen.value[jnp.argmax(at_end)]),
        "fluctuation": 100.0 * (most - least) * tau / auc,
        "swing": (most - least) / least,
        "accumulation": 1.0 / -jnp.expm1(-down.rate * tau),
        "cl_tau": cl,
        "vz_tau": cl / down.rate,
    }
