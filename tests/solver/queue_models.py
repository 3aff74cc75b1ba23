"""Models of queues with known answers, and how near simulated days come to them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import vtrial as vt
from vtrial.dosing.doses import Times, no_doses
from vtrial.keys import subject_key
from vtrial.solver.host import simulate

OUTPUTS = {
    "wait": {"of": "wait", "take": "mean", "unit": "min"},
    "queueing": {"of": "queueing", "take": "mean", "unit": "min"},
    "waited": {"of": "queueing", "take": "share above 0 h"},
    "long": {"of": "wait", "take": "share above 15 min"},
    "left": {"of": "left", "take": "share"},
    "came": {"of": "arrivals", "take": "count"},
}


class Found(NamedTuple):
    """An estimate over days, and its standard error."""

    value: float
    error: float

    def off(self, exact):
        """How many standard errors it is off."""
        return abs(self.value - exact) / self.error


def station(servers, service, **more):
    """One station of that many servers."""
    return {"servers": servers, "service": service, **more}


def flow_of(rate, desk, *, hours=500, counted=50, outputs=OUTPUTS, **more):
    """Make the model of one station with a constant rate [1/h]."""
    arrivals = {
        **{"rate": rate, "every": f"{hours} h", "lasts": f"{hours} h"},
        **more,
    }
    if counted:
        arrivals["counted from"] = f"{counted} h"
    sheet = {
        **{"model": "queue", "kind": "flow", "arrivals": arrivals},
        **{"stations": {"desk": desk}, "outputs": outputs},
    }
    return vt.load_model(sheet)


def keys_of(count, seed=0):
    """Return keys of subjects."""
    return jax.vmap(lambda i: subject_key(seed, 0, i))(jnp.arange(count))


def outputs_of(model, count, *, seed=0, **values):
    """Return what is told of some days, (day) each."""
    inputs = {**model.typical(), **values}
    inputs["arrivals.scale"] = np.full(count, inputs["arrivals.scale"])
    times = Times(jnp.zeros((1, 1)), jnp.zeros((1, 1), int))
    path = simulate(model, inputs, no_doses(), times, seed=seed)
    assert not np.asarray(path.status).any()
    return {name: np.asarray(value)[:, 0] for name, value in path.outputs.items()}


def over_people(values, came):
    """Estimate a mean over people of means over the people of each day.

    The ratio's error is that of independent days, by its first-order expansion.
    """
    known = np.where(came > 0, values, 0.0)
    ratio = np.sum(known * came) / np.sum(came)
    rest = came * (known - ratio)
    error = np.std(rest, ddof=1) / (np.mean(came) * np.sqrt(came.size))
    return Found(float(ratio), float(error))


def over_days(values):
    """Estimate a mean over days."""
    error = np.std(values, ddof=1) / np.sqrt(values.size)
    return Found(float(np.mean(values)), float(error))


def erlang(rate, hours, servers):
    """Return Erlang's B and C, and the mean wait [h] of M/M/c."""
    load, blocked = rate * hours, 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    waits = servers * blocked / (servers - load * (1 - blocked))
    return blocked, waits, waits / (servers / hours - rate)


def erlang_a(rate, hours, servers, patience, most=2000):
    """Return P(wait), P(abandon) and the mean wait [h] of all, of M/M/c+M.

    Sums over the states of the birth-death process.
    """
    k = np.arange(1, most)
    death = np.minimum(k, servers) / hours + np.maximum(k - servers, 0) / patience
    weight = np.concatenate([[0.0], np.cumsum(np.log(rate) - np.log(death))])
    weight = np.exp(weight - weight.max())
    p = weight / weight.sum()
    number = np.maximum(np.arange(most) - servers, 0)
    queue = float(np.sum(number * p))
    return float(p[servers:].sum()), queue / patience / rate, queue / rate
