"""Simulate a flow: a day of queues for every subject, whose keys are given."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Int, Key, UInt

from vtrial.dosing.doses import Doses, Times
from vtrial.errors import SolverError
from vtrial.model.flow import SCALE, Flow
from vtrial.model.model import Model
from vtrial.model.tree import evaluate
from vtrial.program_cache import kept
from vtrial.solver.program import bucket, widened
from vtrial.solver.queue.day import Day, day
from vtrial.solver.queue.told import tell
from vtrial.solver.request import laid_out
from vtrial.solver.trajectory import State, Trajectory
from vtrial.solver.xla.compiled import MAKERS
from vtrial.types import Numerics, Status

RARELY = 1e-9  # of days, at most, more come than there is room for
ROOM = 512  # people for whom there always is room, servers by a thirty-second
MOST_PEOPLE = 200_000
ON_DEVICE = (64, 4096)  # lanes side by side where there are thousands of processors
LANES = (16, 64)


def simulate_flow(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    keys: Key[Array, " subject"],
    periods: Float[ArrayLike, "#subject period"] | None = None,
    numerics: Numerics = Numerics(),  # noqa: B008 (frozen)
) -> Trajectory:
    """Simulate a flow for every subject, whose keys are given.

    What is told of a day is the same at every observation time. On whose day more
    people come than there is room for, which is chosen so that it hardly ever is so,
    has failed, and so has who is missing a number or has one below 0.

    Raises
    ------
    SolverError
        If an input is missing, sizes do not fit together, doses are given, or more
        people come than can be followed.
    """
    del numerics  # nothing is integrated
    flow = _flow(model)
    batch = laid_out(
        model,
        inputs,
        doses,
        times,
        begin=None,
        periods=periods,
        start=None,
        until=None,
    )
    if np.isfinite(np.asarray(batch.doses.time)).any():
        raise SolverError(
            at="doses",
            found="given",
            allowed="none: a flow has no compartments",
            write="",
        )
    first = {name: jnp.asarray(v, float)[:, 0] for name, v in batch.inputs.items()}
    seen = jnp.asarray(batch.times.time)
    count = keys.shape[0]
    values = {name: jnp.broadcast_to(v, (count,)) for name, v in first.items()}
    most, servers = room_for(flow, first)
    lanes, chunks = bucket(
        count, LANES if jax.default_backend() == "cpu" else ON_DEVICE
    )
    wide = {k: widened(v, to=lanes * chunks) for k, v in values.items()}
    each = jnp.pad(jax.random.key_data(keys), ((0, lanes * chunks - count), (0, 0)))
    # One row is one subject; it is no shared row here.
    wide = {k: jnp.broadcast_to(v, (lanes * chunks,)) for k, v in wide.items()}
    told, status = _days(model, most, servers, lanes, wide, each)
    outputs = {
        name: jnp.broadcast_to(value[:count, None], (count, seen.shape[1]))
        for name, value in told.items()
    }
    return _trajectory(seen, outputs, status[:count])


def days(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    *,
    keys: Key[Array, " subject"],
) -> Day:
    """Return the days of subjects person by person: (subject, person) each.

    Raises
    ------
    SolverError
        If more people come than can be followed.
    """
    flow, count = _flow(model), keys.shape[0]
    values = {
        name: jnp.broadcast_to(jnp.asarray(inputs[name], float), (count,))
        for name in model.inputs
    }
    most, servers = room_for(flow, values)
    go = functools.partial(day, flow, most=most, servers=servers)
    return jax.jit(jax.vmap(go))(values, keys)


def room_for(flow: Flow, values: Mapping[str, Float[Array, "*#n"]]) -> tuple[int, int]:
    """Return room for so many people, and the highest number of servers.

    Both are rounded up, so that other rates and rotas hardly ever compile anything;
    what is simulated does not depend on them.
    """
    rates = [np.asarray(evaluate(rate, values), float) for rate in flow.rates]
    mean = np.asarray(values[SCALE], float) * flow.every * sum(rates)
    mean = np.nan_to_num(mean, nan=0.0, posinf=np.inf)
    highest = float(np.max(mean, initial=0.0))
    if not highest <= MOST_PEOPLE:
        raise SolverError(
            at="arrivals",
            found=f"{highest:g} people a subject in the mean",
            allowed=f"at most {MOST_PEOPLE:,}",
            write="",
        )
    from scipy.stats import poisson  # which is read only where there are queues

    people = int(poisson.isf(RARELY, highest)) + 1
    names = [name for station in flow.stations for name in station.servers]
    found = [np.nan_to_num(np.asarray(values[name], float)) for name in names]
    servers = max((float(one.max()) for one in found), default=1.0)
    return _up(people, ROOM), _up(round(servers), ROOM // 32)


def _up(number: int, least: int) -> int:
    """Round up: to `least`, or to an eighth of the power of two below.

    Examples
    --------
    >>> [_up(number, 16) for number in (3, 16, 17, 33)]
    [16, 16, 18, 36]
    """
    if number <= least:
        return least
    step = 2 ** (number - 1).bit_length() // 16
    return -(-number // step) * step


def _flow(model: Model) -> Flow:
    assert model.flow is not None  # it is asked of flows
    return model.flow


def _trajectory(
    time: Float[Array, "#subject time"],
    outputs: dict[str, Float[Array, "subject time"]],
    status: Int[Array, " subject"],
) -> Trajectory:
    """Return what was told as a Trajectory, which has no states."""
    none, nowhere = jnp.zeros_like(status), jnp.zeros((status.shape[0], 0))
    end = State(
        time=jnp.max(jnp.where(jnp.isfinite(time), time, -jnp.inf), axis=1)
        + jnp.zeros(status.shape),
        amounts=nowhere,
        rates=nowhere,
        running=nowhere.astype(int),
        last_dose=jnp.full(status.shape, jnp.nan),
        status=status,
    )
    return Trajectory(time, outputs, None, status, none, none, end)


@functools.partial(kept, static=4, makers=MAKERS)
def _days(
    model: Model,
    most: int,
    servers: int,
    lanes: int,
    values: dict[str, Float[Array, " subject"]],
    keys: UInt[Array, "subject part"],
) -> tuple[dict[str, Float[Array, " subject"]], Int[Array, " subject"]]:
    """Simulate days, some lanes at a time."""
    flow = _flow(model)

    def one(
        values: dict[str, Array], key: UInt[Array, " part"]
    ) -> tuple[dict[str, Array], Array]:
        found = day(
            flow,
            values,
            jax.random.wrap_key_data(key),
            most=most,
            servers=servers,
        )
        status = _status(flow, values, found)
        told = tell(flow, found)
        fine = status == Status.SOLVED
        return {k: jnp.where(fine, v, jnp.nan) for k, v in told.items()}, status

    def some(part: tuple[dict[str, Array], Array]) -> tuple[dict[str, Array], Array]:
        return jax.vmap(one)(*part)

    parted = jax.tree.map(lambda v: v.reshape(-1, lanes, *v.shape[1:]), (values, keys))
    told, status = lax.map(some, parted)
    return {k: v.reshape(-1) for k, v in told.items()}, status.reshape(-1)


def _status(flow: Flow, values: dict[str, Array], found: Day) -> Int[Array, ""]:
    """Return how a day ended."""
    names = [SCALE, *(name for s in flow.stations for name in s.servers)]
    computed = [evaluate(one, values) for one in flow.expressions]
    numbers = jnp.stack(
        [jnp.asarray(n, float) for n in (*computed, *(values[k] for k in names))]
    )
    status = jnp.where(found.full, int(Status.OVERCROWDED), int(Status.SOLVED))
    status = jnp.where(jnp.any(numbers < 0), int(Status.NEGATIVE), status)
    return jnp.where(jnp.all(jnp.isfinite(numbers)), status, int(Status.MISSING_INPUT))
