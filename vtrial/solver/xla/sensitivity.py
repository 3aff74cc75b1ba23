"""Derivatives of a solution in either direction, from forward sensitivities alone.

Steps of controlled size are a loop of unknown length, through which JAX differentiates
forward only. Yet a subject's solution depends on few numbers: its own row of the
inputs. So the reverse mode follows the sensitivities to those numbers forward, beside
the solution and step by step, keeps them by subject, and then has only to contract
them: with what is asked of every output, whatever lies before the inputs.

The primitive `pushed_p` is the pair (solution, its change along a direction). It is
evaluated, batched and differentiated as what it is; only where a reverse mode splits
what it knows, the solution, from what it does not, the direction, do the sensitivities
to all columns take its place.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import ShapedArray, Tracer
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive, set_current_trace
from jax.interpreters import ad, batching, mlir, partial_eval
from jaxtyping import Array

from vtrial.solver.xla.compiled import compiled

BLOCK = 16  # columns whose sensitivities are followed side by side

Leaves = Sequence[Any]  # arrays, of JAX or NumPy
Flat = Callable[[Leaves], tuple[list[Array], list[Array]]]


class Way(NamedTuple):
    """What is solved, and in which of its leaves a direction lies.

    `solve` takes leaves whose first axis is subjects, or 1 where these share it, and
    gives `reals` real arrays of one row a subject, and whole ones. `moved` are the
    places of the leaves that a direction moves. Each of `levels`, the innermost
    first, is a batch: 0 for what has an axis for it in front, None for what has none.
    """

    solve: Flat
    moved: tuple[int, ...]
    reals: int
    levels: tuple[tuple[int | None, ...], ...] = ()

    def push(self, leaves: Leaves, direction: Leaves) -> tuple[list, list, list]:
        """Solve, and follow a change of the moved leaves."""

        def of(moved: Leaves) -> tuple[list[Array], list[Array]]:
            full = list(leaves)
            for place, leaf in zip(self.moved, moved, strict=True):
                full[place] = leaf
            return self.solve(full)

        start = [leaves[place] for place in self.moved]
        size = lax.stop_gradient(_relative(start, direction))
        start = [_rows(value, size.shape[0]) for value in start]
        along = [
            _rows(change, size.shape[0]) / _beside(size, change) for change in direction
        ]
        real, change, whole = jax.jvp(of, (start,), (along,), has_aux=True)
        return real, [c * _beside(size, c) for c in change], whole


class Pushed(NamedTuple):
    """A solution and its change along a direction, as one more thing to solve."""

    way: Way
    size: int

    def __call__(self, leaves: Leaves) -> tuple[list[Array], list[Array]]:
        """Solve for both."""
        real, change, whole = self.way.push(leaves[: self.size], leaves[self.size :])
        return [*real, *change], whole


def _relative(start: Leaves, direction: Leaves) -> Array:
    """Return how large each row's change is beside what it changes.

    Steps suit what is followed beside the solution if that is about of its size.
    """
    largest = jnp.zeros((1,))
    for value, change in zip(start, direction, strict=True):
        usual = jnp.isfinite(value) & (value != 0)
        part = jnp.abs(change) / jnp.where(usual, jnp.abs(value), 1.0)
        inner = tuple(range(1, part.ndim))
        largest = jnp.maximum(largest, jnp.max(part, inner, initial=0.0).astype(float))
    return jnp.where((largest > 0) & jnp.isfinite(largest), largest, 1.0)


def _rows(value: Array, rows: int) -> Array:
    """Give every subject a row of its own."""
    return jnp.broadcast_to(value, (rows, *value.shape[1:])) if rows > 1 else value


def _beside(size: Array, value: Array) -> Array:
    """Return sizes of rows in the shape and type of what has these rows."""
    return size.reshape(-1, *[1] * (value.ndim - 1)).astype(value.dtype)


def _batchable(solve: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the same, but batched in all that it gives, as `pushed_p` is."""
    whole = jax.custom_batching.custom_vmap(solve)

    @whole.def_vmap
    def _(size: int, batched: Any, tree: Any) -> tuple[Any, Any]:
        del size
        axes = jax.tree.map(lambda is_batched: 0 if is_batched else None, batched[0])
        found = _batchable(jax.vmap(solve, in_axes=(axes,)))(tree)
        return found, jax.tree.map(lambda _: True, found)

    return whole


@functools.lru_cache(maxsize=256)
def differentiable(solve: Callable[..., Any], *how: Any) -> Callable[[Any], Any]:
    """Return `tree -> solve(*how, tree)` with derivatives in either direction.

    Row i of the answer must depend on row i of every leaf, or on its only row. A
    direction costs one tangent in forward mode; reverse mode costs one tangent for
    each column of the leaves that are differentiated, however many outputs there are.
    """
    plain = functools.partial(solve, *how)

    @jax.custom_jvp
    def wrapped(tree: Any) -> Any:
        traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))
        return (_batchable(plain) if traced else plain)(tree)

    def rule(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
        leaves, shape = jax.tree.flatten(primals[0])
        changes = jax.tree.leaves(tangents[0])
        flat = _flat(solve, how, shape)
        answer = jax.eval_shape(plain, primals[0])
        kinds = [_is_real(leaf) for leaf in jax.tree.leaves(answer)]
        moved = tuple(
            place
            for place, (leaf, change) in enumerate(zip(leaves, changes, strict=True))
            if _is_real(leaf) and not isinstance(change, SymbolicZero)
        )
        way = Way(flat, moved, sum(kinds))
        found = pushed_p.bind(*leaves, *(changes[place] for place in moved), way=way)
        real, change, whole = _parts(way, found)
        reals, slopes, wholes = iter(real), iter(change), iter(whole)
        out = [next(reals) if kind else next(wholes) for kind in kinds]
        along = [
            next(slopes) if kind else np.zeros(value.shape, jax.dtypes.float0)
            for kind, value in zip(kinds, out, strict=True)
        ]
        back = jax.tree.structure(answer)
        return jax.tree.unflatten(back, out), jax.tree.unflatten(back, along)

    wrapped.defjvp(rule, symbolic_zeros=True)
    return wrapped


@functools.lru_cache(maxsize=256)
def _flat(solve: Callable[..., Any], how: tuple[Any, ...], shape: Any) -> Flat:
    """Return the solution as a function of leaves; real ones come first."""

    def flat(leaves: Leaves) -> tuple[list[Array], list[Array]]:
        out = jax.tree.leaves(solve(*how, jax.tree.unflatten(shape, leaves)))
        real = [leaf for leaf in out if _is_real(leaf)]
        return real, [leaf for leaf in out if not _is_real(leaf)]

    return flat


def _is_real(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _parts(way: Way, found: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Split what `pushed_p` gives: real values, their changes, whole values."""
    return found[: way.reals], found[way.reals : 2 * way.reals], found[2 * way.reals :]


def _leaves_and_direction(way: Way, operands: Sequence[Any]) -> tuple[Any, Any]:
    count = len(operands) - len(way.moved)
    return operands[:count], operands[count:]


def _pushed(*operands: Array, way: Way) -> list[Array]:
    """Evaluate, batched as it may be."""

    def one(*operands: Array) -> tuple[list, list, list]:
        return way.push(*_leaves_and_direction(way, operands))

    for level in way.levels:
        own = _axis(way, level)
        one = jax.vmap(one, in_axes=level, out_axes=(own, 0, own))
    real, change, whole = one(*operands)
    return [*real, *change, *whole]


def _axis(way: Way, level: tuple[int | None, ...]) -> int | None:
    """Return the solution's batch axis; None where only its tangent is batched."""
    leaves, _ = _leaves_and_direction(way, level)
    return None if all(axis is None for axis in leaves) else 0


def _pushed_shapes(*operands: Any, way: Way) -> list[ShapedArray]:
    shapes = jax.eval_shape(functools.partial(_pushed, way=way), *operands)
    return [ShapedArray(s.shape, s.dtype) for s in shapes]


def _pushed_batch(
    operands: Sequence[Any], axes: Sequence[Any], *, way: Way
) -> tuple[list[Array], list[int | None]]:
    """Batch: every batch has its axis in front."""
    front = [
        value if axis is None else jnp.moveaxis(value, axis, 0)
        for value, axis in zip(operands, axes, strict=True)
    ]
    level = tuple(None if axis is None else 0 for axis in axes)
    found = pushed_p.bind(*front, way=way._replace(levels=(*way.levels, level)))
    own = _axis(way, level)
    out = [own] * len(found)
    out[way.reals : 2 * way.reals] = [0] * way.reals
    return found, out


def _pushed_jvp(
    operands: Sequence[Any], tangents: Sequence[Any], *, way: Way
) -> tuple[list[Array], list[Any]]:
    """Differentiate once more: the pair is itself something to solve."""
    moved = tuple(
        place
        for place, change in enumerate(tangents)
        if not isinstance(change, ad.Zero)
    )
    count = len(operands) - len(way.moved)
    again = Way(
        Pushed(way._replace(levels=()), count),
        moved,
        2 * way.reals,
        tuple((*level, *(level[place] for place in moved)) for level in way.levels),
    )
    found = pushed_p.bind(*operands, *(tangents[place] for place in moved), way=again)
    pair, change, whole = _parts(again, found)
    pair, change = list(pair), list(change)
    for values in (pair, change):
        values[: way.reals] = _unbatched(way, values[: way.reals])
    whole = _unbatched(way, whole)
    still = [ad.Zero(jax.typeof(value).to_tangent_aval()) for value in whole]
    return [*pair, *whole], [*change, *still]


def _unbatched(way: Way, values: Sequence[Array]) -> list[Array]:
    """Take one of the equal copies where a batch is of directions only."""
    place = 0
    for level in reversed(way.levels):
        if _axis(way, level) is None:
            values = [lax.index_in_dim(v, 0, place, keepdims=False) for v in values]
        else:
            place += 1
    return list(values)


def _pushed_split(trace: Any, *operands: Any, way: Way) -> list[Any]:
    """Where the direction is not known yet: keep the sensitivities to all columns."""
    leaves, direction = _leaves_and_direction(way, operands)
    known = [leaf.pval.get_known() for leaf in leaves]
    if any(value is None for value in known) or all(d.is_known() for d in direction):
        return trace.default_process_primitive(pushed_p, operands, {"way": way})
    real, whole, columns = _sensitivities(way, known)
    with set_current_trace(trace):
        change = _contracted(way, columns, direction)
    return [*real, *change, *whole]


@functools.partial(compiled, static=1)
def _pushed_of(way: Way, *operands: Any) -> list[Any]:
    return _pushed(*operands, way=way)


def _pushed_alone(*operands: Any, way: Way) -> list[Any]:
    """Solve and push where nothing is traced."""
    return _pushed_of(way, *operands)


pushed_p = Primitive("pushed")
pushed_p.multiple_results = True
pushed_p.def_impl(_pushed_alone)
pushed_p.def_abstract_eval(_pushed_shapes)
mlir.register_lowering(pushed_p, mlir.lower_fun(_pushed, multiple_results=True))
batching.primitive_batchers[pushed_p] = _pushed_batch
ad.primitive_jvps[pushed_p] = _pushed_jvp
partial_eval.custom_partial_eval_rules[pushed_p] = _pushed_split


@functools.partial(compiled, static=1)
def _sensitivities(way: Way, leaves: Leaves) -> tuple[list, list, list]:
    """Solve, and follow the change of every column of the moved leaves.

    Gives real values, whole values, and derivatives (column, subject, ...) of the
    real ones, the columns of all moved leaves one after another.
    """
    plain = way._replace(levels=())

    def one(*leaves: Array) -> tuple[list, list, list]:
        shapes = [leaves[place].shape for place in way.moved]
        sizes = [int(np.prod(shape[1:])) for shape in shapes]
        first = np.cumsum([0, *sizes])

        def along(column: Array) -> tuple[list, list, list]:
            direction = [
                jnp.broadcast_to(
                    (jnp.arange(size) == column - begin)
                    .astype(leaves[place].dtype)
                    .reshape(1, *shape[1:]),
                    shape,
                )
                for place, shape, size, begin in zip(
                    way.moved, shapes, sizes, first, strict=False
                )
            ]
            return _parts(way, pushed_p.bind(*leaves, *direction, way=plain))

        return _by_blocks(along, int(first[-1]))

    for level in way.levels:
        if _axis(way, level) is not None:
            one = jax.vmap(one, in_axes=level[: len(leaves)])
    return one(*leaves)


def _by_blocks(along: Callable[[Array], tuple], count: int) -> tuple[list, list, list]:
    """Follow some columns side by side, and one block of them after another."""
    blocks = -(-count // BLOCK)
    width = -(-count // max(blocks, 1))

    def block(columns: Array) -> tuple[list, list, list]:
        real, change, whole = jax.vmap(along)(columns)
        return *jax.tree.map(lambda v: v[0], (real, whole)), change

    if blocks <= 1:
        return block(jnp.arange(width))
    real, whole, change = lax.map(block, jnp.arange(blocks * width).reshape(blocks, -1))
    real, whole = jax.tree.map(lambda v: v[0], (real, whole))
    return real, whole, [c.reshape(-1, *c.shape[2:])[:count] for c in change]


def _contracted(way: Way, columns: Leaves, direction: Leaves) -> list[Array]:
    """Return the change along a direction, linear in it."""

    def one(columns: Leaves, direction: Leaves) -> list[Array]:
        changes = []
        for derivative in columns:
            rows, begin, total = derivative.shape[1], 0, 0.0
            for moved in direction:
                flat = moved.reshape(moved.shape[0], -1).astype(derivative.dtype)
                flat = jnp.broadcast_to(flat, (rows, flat.shape[1]))
                part = derivative[begin : begin + flat.shape[1]]
                total = total + jnp.einsum("kn...,nk->n...", part, flat)
                begin += flat.shape[1]
            changes.append(cast(Array, total))
        return changes

    for level in way.levels:
        _, axes = _leaves_and_direction(way, level)
        one = jax.vmap(one, in_axes=(_axis(way, level), list(axes)))
    return one(list(columns), list(direction))
