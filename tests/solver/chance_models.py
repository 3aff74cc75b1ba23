"""Models with chance for the solver's tests, and how they are run."""

import jax
import jax.numpy as jnp
import numpy as np

import vtrial as vt
from vtrial.dosing.doses import no_doses, times
from vtrial.keys import subject_key
from vtrial.solver.by_chance import simulate_by_chance
from vtrial.solver.host import simulate
from vtrial.types import Status


def model_of(body, *, time="d", outputs="y: {}"):
    """Load a model sheet of what differs."""
    return vt.load_model(
        f"model: made-up\ntime: {time}\n{body}\noutputs: {{{outputs}}}\n"
    )


def keys_of(count, seed=0):
    """Return the keys of subjects by number."""
    return jax.vmap(lambda number: subject_key(seed, 0, number))(jnp.arange(count))


def course_of(model, at, *, count, seed=0, doses=None, inputs=None, rank=0):
    """Return all outputs at times [d], (subject, time) each; everybody is solved."""
    asked = times(24.0 * np.asarray(at), rank=rank)
    given, doses = model.typical() | (inputs or {}), doses or no_doses()
    if model.chance is None:
        found = simulate(model, given, doses, asked)
    else:
        keys = keys_of(count, seed)
        found = simulate_by_chance(model, given, doses, asked, keys=keys)
    assert (np.asarray(found.status) == Status.SOLVED).all()
    return {name: np.asarray(value) for name, value in found.outputs.items()}
