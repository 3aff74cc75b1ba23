"""What endpoints take of the ledger: doses that were given, and when a rule acted."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vtrial.dims import DOSE
from vtrial.dosing.doses import Doses
from vtrial.observe.course import Decisions
from vtrial.observe.realised import Ledger
from vtrial.protocol.protocol import Arm, Protocol
from vtrial.types import TAKEN, Given

Times = tuple[Float[Array, "subject row"], Float[Array, "subject row"]]


def asked_of_ledger(protocol: Protocol) -> tuple[str, ...]:
    """Name what endpoints take of the ledger."""
    asked = [point.of for point in protocol.endpoints if point.values == "ledger"]
    return tuple(dict.fromkeys(asked))


def planned_ledger(doses: Doses, count: int) -> Ledger:
    """Return the ledger of subjects whose doses nothing changes."""
    shape = (count, doses.time.shape[1])
    return Ledger(
        jnp.broadcast_to(doses.time, shape),
        jnp.broadcast_to(doses.amount, shape),
        jnp.broadcast_to(doses.rate, shape),
        jnp.broadcast_to(doses.compartment, shape),
        jnp.full(shape, int(Given.PLANNED)),
    )


def series_of(
    protocol: Protocol, arm: Arm, given: Ledger | None, decisions: Decisions | None
) -> dict[str, Times]:
    """Return times [h] and values of what endpoints take of the ledger.

    A value is the amount of a dose that was given, or 1 where a rule acted; NaN
    elsewhere.
    """
    found: dict[str, Times] = {}
    names = [rule.name for rule in arm.rules]
    for name in asked_of_ledger(protocol):
        if name == DOSE:
            assert given is not None, "doses are known"
            taken = np.isin(np.asarray(given.reason), TAKEN)
            taken &= np.isfinite(np.asarray(given.time))
            value = np.where(taken, np.asarray(given.amount), np.nan)
            found[name] = _series(given.time, value)
        elif decisions is None or name not in names:
            assert given is not None, "subjects are known"
            none = np.full((given.time.shape[0], 1), np.nan)
            found[name] = _series(np.full_like(none, np.inf), none)
        else:
            acted = np.asarray(decisions.acted) >> names.index(name) & 1
            found[name] = _series(decisions.time, np.where(acted > 0, 1.0, np.nan))
    return found


def _series(time: object, value: np.ndarray) -> Times:
    return jnp.asarray(time), jnp.asarray(value)
