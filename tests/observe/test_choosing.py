"""Doses that are chosen: nobody who only fills up a block is chosen for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vtrial.keys import subject_key
from vtrial.observe.choosing import _is_own


@pytest.mark.parametrize(
    ("rows", "own"),
    [
        ([4, 7, 9], [True, True, True]),
        ([4, 7, 7, 7], [True, True, False, False]),
        ([4], [True]),
    ],
)
def test_rows_that_fill_up_a_block_are_skipped(rows, own):
    keys = jax.vmap(lambda number: subject_key(1, 0, number))(jnp.asarray(rows))
    np.testing.assert_array_equal(_is_own(keys), own)
