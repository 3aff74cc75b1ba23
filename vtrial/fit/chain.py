"""Chains of the no-U-turn sampler: side by side, in portions that go to the host.

After each portion the draws and the whole state are kept, in the folder that is given:
who begins the same work again goes on there, and draws what would have been drawn.

References
----------
Hoffman MD, Gelman A (2014) J Mach Learn Res 15:1593-1623.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from numpyro.infer.hmc import hmc
from numpyro.infer.util import constrain_fn, potential_energy

from vtrial.errors import FitError
from vtrial.fit.hierarchy import TOGETHER, Given, foreign, population, program
from vtrial.fit.likelihood import Likelihood
from vtrial.fit.parameters import Layout

PORTION = 25  # draws of each chain, after which they go to the host
DEPTH = 10
STATE = "state.npz"


class Plan(NamedTuple):
    """What a chain is compiled for.

    Fields
    ------
    warmup
        Steps in which lengths and masses are learnt.
    target
        Mean probability of acceptance.
    apart
        Whether each chain is given data of its own.
    """

    warmup: int
    target: float = 0.85
    apart: bool = False


class Drawn(NamedTuple):
    """What chains draw; the first axes are chain and draw.

    Fields
    ------
    vector
        Of the population.
    diverging, steps
        Whether a step went astray, and how many there were.
    energy
        Minus the logarithm of the density, on the scale of the scores.
    """

    vector: Float[np.ndarray, "*chain estimate"]
    diverging: Bool[np.ndarray, "*chain"]
    steps: Int[np.ndarray, "*chain"]
    energy: Float[np.ndarray, "*chain"]


@foreign()
def drawn(
    likelihood: Likelihood,
    layout: Layout,
    given: Given,
    *,
    plan: Plan,
    key: Key[Array, ""],
    positions: dict[str, Array],
    draws: int,
    folder: Path | None = None,
    digest: str = "",
    tell: Callable[[int], None] | None = None,
) -> Drawn:
    """Warm chains up, and draw so many of each.

    Parameters
    ----------
    positions
        Where chains begin, by site and without bounds; the first axis is chains.
    folder, digest
        Where to keep what is needed to go on, and of what it is.
    tell
        Is told how many steps are done.
    """
    fixed, chains = (likelihood, layout, plan), len(positions["z"])
    keys = jax.random.split(key, chains)
    state: Any = None
    parts: list[Drawn] = []
    if folder is not None and (folder / STATE).exists():
        state, parts = _read(fixed, folder, digest, given, keys, positions)
    if state is None:
        state = _begin(*fixed, given, keys, positions)
    total = -(-(plan.warmup + draws) // PORTION)
    for number in range(len(parts), total):
        state, part = _go(*fixed, given, state)
        parts.append(Drawn(*(np.asarray(leaf) for leaf in part)))
        if folder is not None:
            _write(folder, digest, number, state, parts[-1])
        if tell is not None:
            tell((number + 1) * PORTION)
    last = plan.warmup + draws
    every = [np.concatenate(leaves, axis=1) for leaves in zip(*parts, strict=True)]
    return Drawn(*(leaf[:, plan.warmup : last] for leaf in every))


def _kernel(likelihood: Likelihood, layout: Layout, plan: Plan) -> tuple[Any, Any]:
    """Return how one chain begins, and how it goes on."""

    def potential(given: Given) -> Callable[..., Any]:
        arguments = (likelihood, layout, given)
        return functools.partial(potential_energy, program, arguments, {})

    init, step = hmc(potential_fn_gen=potential, algo="NUTS")

    def begin(given: Given, key: Array, position: dict[str, Array]) -> Any:
        joint = tuple(sorted(name for name in position if name in TOGETHER))
        return init(
            position,
            plan.warmup,
            step_size=0.1,
            dense_mass=[joint],  # type: ignore[arg-type] # NumPyro takes blocks, too
            target_accept_prob=plan.target,
            max_tree_depth=DEPTH,
            model_args=(given,),
            rng_key=key,
        )

    return begin, step


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _begin(
    likelihood: Likelihood,
    layout: Layout,
    plan: Plan,
    given: Given,
    keys: Any,
    positions: Any,
) -> Any:
    begin, _ = _kernel(likelihood, layout, plan)
    own = 0 if plan.apart else None
    return jax.vmap(begin, in_axes=(own, 0, 0))(given, keys, positions)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _go(
    likelihood: Likelihood, layout: Layout, plan: Plan, given: Given, state: Any
) -> Any:
    """Draw a portion of each chain."""
    begin, step = _kernel(likelihood, layout, plan)

    def chain(given: Given, state: Any) -> Any:
        # NumPyro's step knows its warm-up once a chain has begun, if only in outline.
        jax.eval_shape(begin, given, state.rng_key, state.z)

        def one(state: Any, _: None) -> tuple[Any, Drawn]:
            state = step(state, (given,))
            own = {name: part for name, part in state.z.items() if name != "z"}
            sites: Any = constrain_fn(
                population, (layout, given.prior), {}, own, return_deterministic=True
            )
            energy = state.potential_energy
            return state, Drawn(
                sites["vector"], state.diverging, state.num_steps, energy
            )

        return jax.lax.scan(one, state, None, length=PORTION)

    return jax.vmap(chain, in_axes=(0 if plan.apart else None, 0))(given, state)


def _write(folder: Path, digest: str, number: int, state: Any, part: Drawn) -> None:
    """Keep a portion, and then the state after it."""
    folder.mkdir(parents=True, exist_ok=True)
    leaves = [_plain(leaf) for leaf in jax.tree.leaves(state)]
    named = {f"leaf{place}": leaf for place, leaf in enumerate(leaves)}
    files = {
        f"portion-{number}.npz": part._asdict(),
        STATE: {"digest": np.array(digest), "portions": np.array(number + 1), **named},
    }
    for name, arrays in files.items():
        draft = folder / f".{name}"
        with draft.open("wb") as out:
            np.savez(out, **arrays)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(folder / name)


def _read(
    fixed: tuple[Any, ...],
    folder: Path,
    digest: str,
    given: Given,
    keys: Array,
    positions: dict[str, Array],
) -> tuple[Any, list[Drawn]]:
    """Read where chains stood, and what they had drawn."""
    with np.load(folder / STATE) as held:
        if str(held["digest"]) != digest:
            found = "of other numbers: a model, a study or an option differs"
            allowed = "of the same command; remove it to begin anew"
            raise FitError(str(folder), found, allowed, "")
        portions = int(held["portions"])
        count = len(held.files) - 2
        leaves = [held[f"leaf{place}"] for place in range(count)]
    outline = jax.eval_shape(functools.partial(_begin, *fixed), given, keys, positions)
    shapes, tree = jax.tree.flatten(outline)
    whole = [
        jax.random.wrap_key_data(jnp.asarray(leaf))
        if _is_key(shape)
        else jnp.asarray(leaf)
        for leaf, shape in zip(leaves, shapes, strict=True)
    ]
    parts = []
    for number in range(portions):
        with np.load(folder / f"portion-{number}.npz") as one:
            parts.append(Drawn(**{name: one[name] for name in Drawn._fields}))
    return jax.tree.unflatten(tree, whole), parts


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Array) -> np.ndarray:
    if _is_key(leaf):
        return np.asarray(jax.random.key_data(leaf))
    return np.asarray(leaf)
