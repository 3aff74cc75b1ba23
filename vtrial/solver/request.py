"""What is asked of `simulate`: checked and laid out before anything is compiled."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import ArrayLike, Float

from vtrial.dosing.doses import DOSE, OTHER, RESET, RESET_DOSE, Doses, Times
from vtrial.errors import Fault, SolverError
from vtrial.model.model import Model
from vtrial.solver.events import take_up
from vtrial.solver.lanes import Batch
from vtrial.solver.trajectory import State

UNKNOWN_OVERLAPS = 2
MOST_OVERLAPS = 64


def checked(
    model: Model,
    inputs: Mapping[str, ArrayLike],
    doses: Doses,
    times: Times,
    *,
    begin: Float[ArrayLike, "*#subject"] | None,
    periods: Float[ArrayLike, "#subject period"] | None,
    start: State | None,
    until: Float[ArrayLike, "*#subject"] | None,
) -> Batch:
    """Lay out a request as rows of subjects.

    Raises
    ------
    SolverError
        With everything that does not fit.
    """
    missing = [name for name in model.inputs if name not in inputs]
    if missing:
        raise SolverError.of([_missing(model, name, inputs) for name in missing])
    given = {name: _real(inputs[name]) for name in model.inputs}
    wide = {k: _wide(v) for k, v in given.items()}
    begun: Any = np.full((1, 1), -np.inf) if periods is None else _real(periods)
    batch = Batch(
        inputs=wide,
        periods=begun.reshape(1, -1) if begun.ndim < 2 else begun,
        doses=_doses(doses),
        times=Times(
            _real(times.time),
            _whole(times.rank),
            None if times.period is None else _whole(times.period),
        ),
        begin=None if begin is None else _real(begin).reshape(-1),
        start=None if start is None else State(*map(_same, start)),
        until=None if until is None else _real(until).reshape(-1),
    )
    faults = [*_size_faults(batch), *_column_faults(batch), *_dose_faults(model, batch)]
    if faults:
        raise SolverError.of(faults)
    return batch


def overlaps_of(model: Model, batch: Batch) -> int:
    """Count how many earlier doses a steady state may have pending or running.

    Lag and duration may depend on the inputs, so they are computed here, once.
    """
    arrays = jax.tree.leaves((batch.inputs, batch.periods, batch.doses))
    if any(isinstance(array, Tracer) for array in arrays):
        return UNKNOWN_OVERLAPS
    count = max(array.shape[0] for array in arrays)

    def full(array: Any) -> Any:
        return jnp.broadcast_to(array, (count, *array.shape[1:]))

    doses = jax.tree.map(full, batch.doses)
    periods = full(batch.periods)
    individual = {
        name: jnp.broadcast_to(value, periods.shape)
        for name, value in model.individual(
            {k: jnp.broadcast_to(v, periods.shape) for k, v in batch.inputs.items()}
        ).items()
    }
    given = take_up(model, individual, doses, periods)
    asks = (doses.steady > 0) & (doses.interval > 0) & jnp.isfinite(doses.time)
    train = (given.delay + given.duration) / jnp.where(asks, doses.interval, 1.0)
    train = np.asarray(jnp.where(asks & jnp.isfinite(train), train, 0.0))
    most = int(np.ceil(train.max(initial=0.0)))
    return min(1 << (most - 1).bit_length() if most > 1 else 1, MOST_OVERLAPS)


def _real(value: Any) -> Any:
    """Return floats, as they are if traced or on a device."""
    if isinstance(value, jax.Array):
        return value.astype(float)
    return np.asarray(value, float)


def _whole(value: Any) -> Any:
    if isinstance(value, jax.Array):
        return value.astype(int)
    return np.asarray(value, int)


def _same(value: Any) -> Any:
    return value if isinstance(value, jax.Array) else np.asarray(value)


def _wide(value: Any) -> Any:
    """Make (subject, period) of a number, (subject) or (subject, period)."""
    return value.reshape(-1, 1) if value.ndim < 2 else value


def _doses(doses: Doses) -> Doses:
    real = ("time", "amount", "rate", "interval")
    laid: dict[str, Any] = {
        name: value if value is None else (_real if name in real else _whole)(value)
        for name, value in doses._asdict().items()
    }
    return Doses(**laid)


def _missing(model: Model, name: str, inputs: Mapping[str, ArrayLike]) -> Fault:
    near = [known for known in inputs if known.lower() == name.lower()]
    instead = f", but `{near[0]}` is given" if near else ""
    return Fault(
        at=f"inputs[{name!r}] of {model.name}",
        found=f"missing{instead}",
        allowed="given: a number or one a subject",
        write=f"inputs | {{{name!r}: ...}}",
    )


def _rows(batch: Batch) -> dict[str, int]:
    """Say how many subjects each part of a request has."""
    parts: dict[str, Any] = {f"inputs[{k!r}]": v for k, v in batch.inputs.items()}
    parts["periods"] = batch.periods
    for label in ("doses", "times", "start"):
        noun = getattr(batch, label)
        if noun is not None:
            parts |= {f"{label}.{k}": v for k, v in noun._asdict().items()}
    parts |= {"until": batch.until, "begin": batch.begin}
    return {k: v.shape[0] for k, v in parts.items() if v is not None}


def _size_faults(batch: Batch) -> list[Fault]:
    """Find parts with another number of subjects than the others."""
    rows = _rows(batch)
    count = max(rows.values())
    return [
        Fault(
            at=name,
            found=f"for {size} subjects",
            allowed=f"for 1 or {count}, as the others are",
            write=f"{count} rows",
        )
        for name, size in rows.items()
        if size not in (1, count)
    ]


def _column_faults(batch: Batch) -> list[Fault]:
    """Find inputs with another number of columns than there are periods."""
    columns = batch.periods.shape[1]
    return [
        Fault(
            at=f"inputs[{name!r}]",
            found=f"{value.shape[1]} columns",
            allowed=f"1 or {columns}, the number of periods",
            write="periods=...: when each column begins [h]",
        )
        for name, value in batch.inputs.items()
        if value.shape[1] not in (1, columns)
    ]


def _dose_faults(model: Model, batch: Batch) -> list[Fault]:
    """Find doses that ask for what there is not."""
    doses = batch.doses._replace(period=None)
    if any(isinstance(value, Tracer) for value in jax.tree.leaves(doses)):
        return []
    fields = {k: np.asarray(v) for k, v in doses._asdict().items() if v is not None}
    shape = np.broadcast_shapes(*(v.shape for v in fields.values()))
    real = np.broadcast_to(~np.isinf(fields["time"]), shape)
    found = {k: np.broadcast_to(v, shape)[real] for k, v in fields.items()}
    return [
        *_event_faults(found),
        *_compartment_faults(model, found),
        *_steady_faults(found),
    ]


def _event_faults(doses: Mapping[str, np.ndarray]) -> list[Fault]:
    """Find events that are none."""
    known = (DOSE, OTHER, RESET, RESET_DOSE)
    strange = doses["event"][~np.isin(doses["event"], known)]
    allowed = "1, 2, 3 or 4: dose, other, reset, reset and dose"
    return [
        Fault("doses.event", f"{code}", allowed, "event 1")
        for code in np.unique(strange)
    ]


def _compartment_faults(model: Model, doses: Mapping[str, np.ndarray]) -> list[Fault]:
    """Find doses into no state, and rates that the model does not say."""
    if not model.states:
        return []
    last = len(model.states) - 1
    gives = np.isin(doses["event"], (DOSE, RESET_DOSE))
    compartment, rate = doses["compartment"][gives], doses["rate"][gives]
    outside = compartment[(compartment < 0) | (compartment > last)]
    allowed = f"the position of a state, 0 to {last}"
    faults = [
        Fault("doses.compartment", f"{place}", allowed, "compartment 0")
        for place in np.unique(outside)
    ]
    if faults:
        return faults
    negative = rate[(rate < 0) & ~np.isin(rate, (-1.0, -2.0))]
    faults = [
        Fault("doses.rate", f"{value:g}", "above 0, 0, -1 or -2", "rate 0")
        for value in np.unique(negative)
    ]
    said = {(s.kind, s.name) for s in model.structure.properties}
    for code, kind in ((-1, "rate"), (-2, "duration")):
        asking = np.unique(compartment[rate == code])
        for state in (model.states[int(place)] for place in asking):
            if (kind, state) not in said:
                faults.append(
                    Fault(
                        "doses.rate",
                        f"{code} for `{state}`, whose {kind} the model does not say",
                        "a rate in amount/h, or 0 for a bolus",
                        f"{kind}({state}) = ...",
                    )
                )
    return faults


def _steady_faults(doses: Mapping[str, np.ndarray]) -> list[Fault]:
    """Find steady states without an interval."""
    constant = (doses["amount"] == 0) & (doses["rate"] != 0)
    asks = (doses["steady"] > 0) & np.isin(doses["event"], (DOSE, RESET_DOSE))
    lost = asks & ~constant & ~(doses["interval"] > 0)
    if not lost.any():
        return []
    found = f"{doses['interval'][lost][0]:g} h for a dose at steady state"
    return [Fault("doses.interval", found, "above 0 h", "interval 24")]
