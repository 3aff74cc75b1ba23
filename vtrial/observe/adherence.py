"""What subjects take of the doses that are planned for them, and when.

References
----------
Vrijens B, Goetghebeur E (1997) J Pharmacokinet Biopharm 25:477 (chains of doses).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from vtrial.dosing.doses import Doses
from vtrial.observe.observation_times import draws
from vtrial.observe.realised import Ledger
from vtrial.protocol.adherence import Adherence
from vtrial.types import Given


class Habits(NamedTuple):
    """Which planned doses subjects miss, and how late they take the others [h]."""

    missed: Bool[Array, "subject dose"]
    late: Float[Array, "subject dose"]


def habits_of(
    adherence: Adherence,
    keys: Key[Array, " subject"],
    times: Float[np.ndarray, " dose"],
) -> Habits:
    """Draw which of the doses at some times [h] are taken, and when.

    Doses at one time are taken together. Everything is keyed by the subject and the
    number of the time, so that no other dose moves a draw.
    """
    distinct, place = np.unique(times, return_inverse=True)
    count = distinct.size
    missed = jnp.zeros((keys.size, count), bool)
    late = jnp.zeros((keys.size, count))
    if len(adherence.states) > 1:
        missed |= _states(adherence, keys, count) > 0
    if adherence.taken < 1:
        missed |= (
            draws(keys, "dose taken", count, jax.random.uniform) >= adherence.taken
        )
    if adherence.stop:
        until = persistence(adherence, keys)
        missed |= jnp.asarray(distinct)[None] > until[:, None]
    if adherence.jitter:
        drawn = 2.0 * draws(keys, "dose time", count, jax.random.uniform) - 1.0
        late = drawn * adherence.jitter
        late = jnp.maximum(late, jnp.minimum(-jnp.asarray(distinct)[None], 0.0))
    return Habits(missed[:, place], late[:, place])


def persistence(
    adherence: Adherence, keys: Key[Array, " subject"]
) -> Float[Array, " subject"]:
    """Draw from when on subjects take nothing any more [h], at a hazard above 0."""
    drawn = draws(keys, "persistence", 1, jax.random.exponential)
    return drawn[:, 0] / adherence.stop


def taken_by(habits: Habits, doses: Doses) -> tuple[Doses, Ledger]:
    """Return the doses that are taken, at their times, and the ledger of all."""
    shape = habits.missed.shape
    full = Doses(
        *(
            None if part is None else jnp.broadcast_to(part, shape)
            for part in doses  # type: ignore[arg-type]
        )
    )
    time = full.time + habits.late
    reason = jnp.where(habits.missed, int(Given.MISSED), int(Given.PLANNED))
    amount = jnp.where(habits.missed, 0.0, full.amount)
    ledger = Ledger(time, amount, full.rate, full.compartment, reason)
    when = jnp.where(habits.missed, jnp.inf, time)
    order = jnp.argsort(when, axis=1, stable=True)
    moved = full._replace(time=when)
    sorted_ = [
        None if part is None else jnp.take_along_axis(part, order, axis=1)
        for part in moved
    ]
    return Doses(*sorted_), ledger  # type: ignore[arg-type]


def attended(
    keys: Key[Array, " subject"], counts: list[tuple[str, int]], share: Float[Array, ""]
) -> Bool[Array, "subject visit"]:
    """Draw to which measured times subjects come, by visit and number in it."""
    drawn = [
        draws(keys, f"attends {name}", count, jax.random.uniform)
        for name, count in counts
    ]
    return jnp.concatenate(drawn, axis=1) < share


def _states(
    adherence: Adherence, keys: Key[Array, " subject"], count: int
) -> Int[Array, "subject time"]:
    """Follow the chain from its first state, in which the first dose is taken."""
    size = len(adherence.states)
    rows = jnp.broadcast_to(
        jnp.asarray(adherence.transitions, float)[None], (keys.size, size, size)
    )
    for first, second, spread in adherence.between:
        rows = _shifted(rows, adherence, keys, first, second, spread)
    ends = jnp.cumsum(rows, axis=2)
    drawn = draws(keys, "adherence", count, jax.random.uniform)

    def step(
        state: Int[Array, " subject"], draw: Float[Array, " subject"]
    ) -> tuple[Int[Array, " subject"], Int[Array, " subject"]]:
        row = jnp.take_along_axis(ends, state[:, None, None], axis=1)[:, 0]
        new = jnp.sum(draw[:, None] >= row[:, :-1], axis=1)
        return new, new

    begun = jnp.zeros(keys.size, int)
    _, later = jax.lax.scan(step, begun, drawn[:, 1:].T)
    return jnp.concatenate([begun[:, None], later.T], axis=1)


def _shifted(
    rows: Float[Array, "subject state state"],
    adherence: Adherence,
    keys: Key[Array, " subject"],
    first: int,
    second: int,
    spread: float,
) -> Float[Array, "subject state state"]:
    """Shift the logit of one transition by a normal draw; the others share the rest."""
    names = f"{adherence.states[first]} to {adherence.states[second]}"
    drawn = draws(keys, f"adherence {names}", 1, jax.random.normal)[:, 0]
    row = rows[:, first]
    before = row[:, second]
    after = jax.nn.sigmoid(jnp.log(before) - jnp.log1p(-before) + spread * drawn)
    scale = (1.0 - after) / (1.0 - before)
    row = (row * scale[:, None]).at[:, second].set(after)
    return rows.at[:, first].set(row)
