r"""The likelihood of a linear mixed model, with exact first and second derivatives.

Values $y = X\beta + e$ have, in each subject, the covariance $V$ of its visits. With
$Z = [X, y]$ and $W = V^{-1}$, everything is a function of the sums

$$ N = \sum_i Z_i^\top W_i Z_i = \begin{pmatrix} A & b \ b^\top & c \end{pmatrix}, $$

and these are linear in the sums of products of $Z$ within each kind of subject, which
are computed once. Minus twice the logarithm of the likelihood is

$$ \sum_i \log|V_i| + c - b^\top A^{-1} b + n \log 2\pi, $$

and that of the restricted one adds $\log|A|$ and counts $n$ less the rank of $X$: the
constants are those of SAS's PROC MIXED. Derivatives of $V$ are JAX's; from there on

$$ \partial_i N = -\sum Z^\top W V_i W Z, \qquad
   \partial_{ij} N = \sum Z^\top (W V_i W V_j W + W V_j W V_i W - W V_{ij} W) Z, $$

whose blocks are also what Kenward's and Roger's correction is made of.

Everything here is for one trial; `vmap` makes many.

References
----------
Patterson HD, Thompson R (1971) Biometrika 58:545-554.
Lindstrom MJ, Bates DM (1988) J Am Stat Assoc 83:1014-1022 (derivatives).
Kenward MG, Roger JH (1997) Biometrics 53:983-997.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vtrial.measure.covariance import CovarianceStructure

Scalar = Float[Array, ""]
Vector = Float[Array, " parameter"]
Matrices = Float[Array, "kind visit visit"]


class Sums(NamedTuple):
    """Sufficient statistics of one trial.

    `product` holds, for each kind, sums over its subjects of products of two visits'
    columns (values last): pairs of visits by pairs of columns, both packed.
    """

    product: Float[Array, "kind visits columns"]
    subjects: Float[Array, " kind"]
    mask: Bool[Array, "kind visit"]
    group: Int[Array, " kind"]
    distance: Float[Array, "kind visit visit"]
    kept: Bool[Array, " column"]
    constant: Scalar


class MixedModel(NamedTuple):
    """Covariance structure, its groups, and the kind of likelihood.

    `free`: parameters are the structure's unbounded numbers, not its natural ones.
    """

    structure: CovarianceStructure
    groups: int
    restricted: bool
    free: bool


class Slopes(NamedTuple):
    """Minus twice the log likelihood with its derivatives."""

    value: Scalar
    gradient: Vector
    hessian: Float[Array, "parameter parameter"]


class FixedEffects(NamedTuple):
    r"""Fixed effects at given covariance parameters, and the matrices that tests need.

    Attributes
    ----------
    effect, covariance
        $A^{-1} b$ and $A^{-1}$; 0 for columns that are not kept.
    slope
        $P_i = \partial_i A$.
    curved, bent
        $\sum_{ij} C_{ij} X^\top W V_i W V_j W X$ and
        $\sum_{ij} C_{ij} X^\top W V_{ij} W X$, with the covariance $C$ of the
        parameters.
    spread
        $C$: twice the inverse of the Hessian, as observed.
    matrix
        $V$ of each kind, all visits.
    """

    effect: Float[Array, " column"]
    covariance: Float[Array, "column column"]
    slope: Float[Array, "parameter column column"]
    curved: Float[Array, "column column"]
    bent: Float[Array, "column column"]
    spread: Float[Array, "parameter parameter"]
    matrix: Matrices


def products(
    columns: Float[Array, "subject visit columns"],
    kind: Int[Array, " subject"],
    kinds: int,
) -> Float[Array, "kind pair cell"]:
    """Sum products of columns over the subjects of each kind.

    A pair of different visits holds both its orders, so that a symmetric matrix of
    weights is counted by its triangle.
    """
    first, second = np.triu_indices(columns.shape[1])
    left, right = np.triu_indices(columns.shape[2])
    early, late = columns[:, first, :], columns[:, second, :]
    made = early[:, :, left] * late[:, :, right] + late[:, :, left] * early[:, :, right]
    # On the diagonal both orders are the same pair, which counts once.
    made = made * jnp.where(first == second, 0.5, 1.0)[None, :, None]
    where = jnp.where(kind < 0, kinds, kind)
    return jax.ops.segment_sum(made, where, kinds + 1)[:kinds]


def slopes(parameters: Vector, sums: Sums, model: MixedModel) -> Slopes:
    """Return minus twice the log likelihood, its gradient and its Hessian."""
    made = _evaluate(parameters, sums, model)
    weight, inverse, effect = made.weight, made.inverse, made.effect
    # Its products with N's derivatives are the derivatives of all that N is in.
    outer = jnp.append(-effect, 1.0)
    outer = outer[:, None] * outer[None, :]
    if model.restricted:
        outer = outer.at[:-1, :-1].add(inverse)
    seen = _unpack(_inner(sums, outer), sums.mask.shape[1])
    around = weight @ seen @ weight
    count = sums.subjects[:, None, None]
    # -2 log L changes by tr((n W - W S W) dV), S the products that `outer` weighs.
    pull = count * weight - around

    def along(at: Vector) -> Scalar:
        return (pull * _matrices(at, sums, model)).sum()

    rises = _rises(parameters, sums, model)
    twice = (2.0 * around - count * weight)[:, None] @ rises @ weight[:, None]
    fall = _falls(rises, weight, sums)
    moved = fall @ jnp.append(-effect, 1.0)
    # Second derivatives of V alone; those by way of W, beta and log|A| follow.
    hessian = jax.hessian(along)(parameters)
    hessian += jnp.einsum("pkab,plba->kl", twice, rises)
    hessian -= 2.0 * moved[:, :-1] @ inverse @ moved[:, :-1].T
    if model.restricted:
        turned = fall[:, :-1, :-1] @ inverse
        hessian -= jnp.einsum("kab,lba->kl", turned, turned)
    return Slopes(made.value, jax.grad(along)(parameters), hessian)


def estimate(
    parameters: Vector,
    spread: Float[Array, "parameter parameter"],
    sums: Sums,
    model: MixedModel,
) -> FixedEffects:
    """Return fixed effects, and the matrices that tests need, at natural parameters.

    `spread` is the covariance of the parameters.
    """
    made = _evaluate(parameters, sums, model)
    weight = made.weight
    rises = _rises(parameters, sums, model)
    both = jnp.einsum("kl,pkab->plab", spread, rises) @ weight[:, None] @ rises
    second = _second(parameters, spread, sums, model)
    kept = sums.kept[:, None] & sums.kept[None, :]
    return FixedEffects(
        effect=made.effect,
        covariance=jnp.where(kept, made.inverse, 0.0),
        slope=_falls(rises, weight, sums)[:, :-1, :-1],
        curved=_gather(sums, weight @ both.sum(axis=1) @ weight)[:-1, :-1],
        bent=_gather(sums, weight @ second @ weight)[:-1, :-1],
        spread=spread,
        matrix=_matrices(parameters, sums, model),
    )


class _Made(NamedTuple):
    """-2 log L and the parts that its derivatives need."""

    value: Scalar
    weight: Matrices
    inverse: Float[Array, "column column"]
    effect: Float[Array, " column"]


def _evaluate(parameters: Vector, sums: Sums, model: MixedModel) -> _Made:
    """Return minus twice the log likelihood at some parameters."""
    both = sums.mask[:, :, None] & sums.mask[:, None, :]
    eye = jnp.eye(both.shape[1], dtype=sums.product.dtype)
    # Visits not seen are independent of variance 1: they add nothing to log|V|.
    matrix = jnp.where(both, _matrices(parameters, sums, model), eye[None])
    factor = jnp.linalg.cholesky(matrix)
    root = jax.scipy.linalg.solve_triangular(
        factor, jnp.broadcast_to(eye[None], matrix.shape), lower=True
    )
    weight = jnp.where(both, root.mT @ root, 0.0)
    spread = 2.0 * jnp.log(jnp.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    whole = _gather(sums, weight)
    # A dropped column is one of the identity: coefficient 0, and nothing to log|A|.
    gram = whole[:-1, :-1] + jnp.diag(jnp.where(sums.kept, 0.0, 1.0))
    factor = jax.scipy.linalg.cho_factor(gram, lower=True)
    effect = jax.scipy.linalg.cho_solve(factor, whole[:-1, -1])
    value = sums.subjects @ spread + sums.constant
    value += whole[-1, -1] - whole[:-1, -1] @ effect
    if model.restricted:
        value += 2.0 * jnp.log(jnp.diag(factor[0])).sum()
    eye = jnp.eye(len(gram), dtype=gram.dtype)
    return _Made(value, weight, jax.scipy.linalg.cho_solve(factor, eye), effect)


def _matrices(parameters: Vector, sums: Sums, model: MixedModel) -> Matrices:
    """Return the covariance of all visits for each kind."""
    own = parameters.reshape(model.groups, -1)
    visits = sums.mask.shape[1]
    if model.free:
        own = jax.vmap(lambda free: model.structure.natural(free, visits))(own)
    return jax.vmap(model.structure.matrix)(own[sums.group], sums.distance)


def _rises(
    parameters: Vector, sums: Sums, model: MixedModel
) -> Float[Array, "kind parameter visit visit"]:
    """Return the first derivatives of each kind's covariance in the parameters.

    Weights are zero elsewhere, so nothing needs to be masked here.
    """
    rises = jax.jacfwd(_matrices)(parameters, sums, model)
    return jnp.moveaxis(rises, -1, 1)


def _second(
    parameters: Vector,
    spread: Float[Array, "parameter parameter"],
    sums: Sums,
    model: MixedModel,
) -> Matrices:
    """Return the sum of second derivatives, each times the covariance of its pair.

    Along the columns of a root of the covariance it is a sum of plain second
    derivatives.
    """
    # sum_ij C_ij V_ij = sum_k V''[l_k, l_k] for C = sum_k l_k l_k'.
    root = jnp.linalg.cholesky(spread)

    def bend(direction: Vector) -> Matrices:
        def rise(at: Vector) -> Matrices:
            return jax.jvp(lambda x: _matrices(x, sums, model), (at,), (direction,))[1]

        return jax.jvp(rise, (parameters,), (direction,))[1]

    return jax.vmap(bend)(root.T).sum(axis=0)


def _falls(
    rises: Float[Array, "kind parameter visit visit"], weight: Matrices, sums: Sums
) -> Float[Array, "parameter columns columns"]:
    """Return the first derivatives of N."""
    inner = weight[:, None] @ rises @ weight[:, None]
    return jax.vmap(lambda m: -_gather(sums, m), in_axes=1)(inner)


def _gather(sums: Sums, weight: Matrices) -> Float[Array, "columns columns"]:
    """Sum the products of columns, weighted by a symmetric matrix for each kind."""
    first, second = np.triu_indices(weight.shape[1])
    packed = jnp.tensordot(weight[:, first, second], sums.product, axes=2)
    return _unpack(packed, len(sums.kept) + 1)


def _inner(
    sums: Sums, outer: Float[Array, "columns columns"]
) -> Float[Array, "kind pair"]:
    """Return the symmetric matrix of each kind whose weights N's products count.

    Off the diagonal it is halved, for each pair of visits holds both its orders.
    """
    left, right = np.triu_indices(len(outer))
    twice = jnp.where(left == right, 1.0, 2.0)
    made = sums.product @ (outer[left, right] * twice)
    first, second = np.triu_indices(sums.mask.shape[1])
    return made * jnp.where(first == second, 1.0, 0.5)[None]


def _unpack(packed: Float[Array, "*many cell"], size: int) -> Float[Array, "*many a b"]:
    """Return symmetric matrices from their packed upper triangles."""
    place = np.zeros((size, size), int)
    place[np.triu_indices(size)] = np.arange(size * (size + 1) // 2)
    place = np.maximum(place, place.T)
    return packed[..., place]
