"""What is computed without JAX is what JAX computes."""

import jax
import numpy as np
import pytest

from vtrial.model.plain import start_jacobians
from vtrial.model.sheet import library, load_model

AMOUNTS = (0.0, 30.0)


@pytest.mark.parametrize("name", library())
def test_the_jacobian_at_the_start_is_that_of_the_model(name):
    model = load_model(name)
    if not model.states or model.structure.is_closed:
        pytest.skip("no states, or a Jacobian that is seldom asked for")
    values = {n: 1.0 if np.isnan(v) else v for n, v in model.typical().items()}

    @jax.jit
    def wanted():
        individual = model.individual(values)
        first, *others = model.initial(individual)
        return [
            model.jacobian(0.0, [first + amount, *others], individual)
            for amount in AMOUNTS
        ]

    found = start_jacobians(model, values, AMOUNTS)
    for matrix, rows in zip(found, wanted(), strict=True):
        right = [[0.0 if e is None else float(e) for e in row] for row in rows]
        np.testing.assert_allclose(matrix, right, rtol=1e-11, atol=1e-280)
