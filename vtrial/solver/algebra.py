"""Models without differential equations: outputs are computed at their times."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from vtrial.solver.method import AbstractMethod, Amounts, Span, Step


@dataclass(frozen=True)
class Algebra(AbstractMethod):
    """A method for models without differential equations."""

    def prepare(
        self, individual: Mapping[str, Float[Array, "lane period"]]
    ) -> tuple[()]:
        """Need nothing."""
        del individual
        return ()

    def advance(
        self,
        prepared: object,
        span: Span,
        amounts: Amounts,
        rates: Amounts,
        memory: object,
    ) -> Step:
        """Do nothing."""
        none = jnp.zeros(span.active.shape, int)
        return Step(amounts, memory, none, none)
