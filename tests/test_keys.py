"""Keys go by name: one identity, one key, wherever it is asked for."""

import jax
import numpy as np

from vtrial.keys import purpose_key, replicate_key, subject_key


def test_keys_differ_by_every_part_of_the_name():
    keys = [
        subject_key(1, 2, 3),
        subject_key(2, 2, 3),
        subject_key(1, 3, 3),
        subject_key(1, 2, 4),
        replicate_key(1, 2),
        purpose_key(subject_key(1, 2, 3), "covariates"),
        purpose_key(subject_key(1, 2, 3), "residual conc"),
    ]
    data = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys}
    assert len(data) == len(keys)


def test_keys_do_not_depend_on_the_crowd():
    def draw(subject):
        return jax.random.normal(subject_key(7, 0, subject))

    subjects = np.arange(5)
    together = jax.vmap(draw)(subjects)
    alone = np.array([draw(int(subject)) for subject in subjects])
    np.testing.assert_array_equal(together, alone)
