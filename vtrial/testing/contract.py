"""What every way of solving must do, whatever the model.

Inherit, say which model and method, and the tests run::

    class TestExplicit(SimulateContract):
        model = vt.load_model("docetaxel-neutropenia")
        numerics = Numerics(method="explicit")
"""

import jax
import jax.numpy as jnp
import numpy as np

from vtrial.dosing.doses import AFTER_DOSE, Doses, Times, times
from vtrial.model.model import Model
from vtrial.solver.host import simulate
from vtrial.solver.trajectory import Trajectory
from vtrial.types import Numerics, Status


class SimulateContract:
    """The laws that hold for every model and every method, on a few subjects."""

    model: Model
    numerics: Numerics = Numerics()
    amount: float = 100.0
    duration: float = 0.0
    interval: float = 24.0
    horizon: float = 72.0
    spread: float = 0.2
    tolerance: float = 1e-4

    def test_order_of_subjects_changes_nothing(self) -> None:
        """Each subject is solved as if alone."""
        inputs, backward = self._inputs(), slice(None, None, -1)
        there = self._solved(inputs)
        back = self._solved({k: v[backward] for k, v in inputs.items()})
        for name, values in there.outputs.items():
            self._near(values, back.outputs[name][backward])

    def test_more_observation_times_change_no_other_value(self) -> None:
        """The answer does not depend on the grid."""
        coarse = np.arange(0.0, self.horizon + 1, 12.0)
        fine = np.arange(0.0, self.horizon + 1, 1.5)
        rough, smooth = self._solved(grid=coarse), self._solved(grid=fine)
        for name, values in rough.outputs.items():
            self._near(values, smooth.outputs[name][:, ::8])

    def test_stages_equal_the_whole(self) -> None:
        """A stage begins where the last one ended, infusions running on."""
        grid = np.arange(0.0, self.horizon + 1, 6.0)
        whole = self._solved(grid=grid)
        middle = float(grid[len(grid) // 2]) + 0.25
        early, late = grid[grid <= middle], grid[grid > middle]
        first = self._solved(grid=early, until=middle)
        second = self._solved(grid=late, start=first.end)
        for name, values in whole.outputs.items():
            parts = [first.outputs[name], second.outputs[name]]
            self._near(values, jnp.concatenate(parts, axis=1))

    def test_time_after_the_dose_is_on_the_other_side(self) -> None:
        """A trough is taken before the dose at its time, a peak after it."""
        if not self.model.states:
            return
        doses = self._doses()
        at = float(doses.time[0, 1])
        both = Times(jnp.array([[at, at]]), jnp.array([[0, AFTER_DOSE]]))
        states = simulate(
            self.model,
            self._inputs(),
            doses,
            both,
            numerics=self.numerics,
            keep_states=True,
        ).states
        assert states is not None
        jump = states[:, 1, 0] - states[:, 0, 0]
        wanted = 0.0 if self.duration else self.amount
        np.testing.assert_allclose(jump, wanted, rtol=1e-6, atol=1e-6)

    def test_missing_input_is_data(self) -> None:
        """A subject without a number fails alone, and says so."""
        inputs = self._inputs()
        name = next(iter(inputs))
        inputs[name] = inputs[name].at[1].set(jnp.nan)
        solved, sound = self._solved(inputs), self._solved()
        assert solved.status[1] == Status.MISSING_INPUT
        kept = np.array([0, 2])
        assert (solved.status[kept] == Status.SOLVED).all()
        for label, values in solved.outputs.items():
            assert jnp.isnan(values[1]).all()
            self._near(values[kept], sound.outputs[label][kept])

    def test_slopes_agree_with_finite_differences(self) -> None:
        """Derivatives with respect to parameters go through the whole solution."""
        inputs = self._inputs()
        name = next(p.name for p in self.model.parameters)
        grid = np.array([0.75 * self.horizon])

        def final(factor: jax.Array) -> jax.Array:
            moved = inputs | {name: inputs[name] * factor}
            solved = self._solved(moved, grid=grid)
            return jnp.stack([v[:, 0] for v in solved.outputs.values()])

        slope = jax.jacfwd(final)(jnp.asarray(1.0))
        step = 1e-3
        rough = (final(jnp.asarray(1 + step)) - final(jnp.asarray(1 - step))) / 2 / step
        scale = float(jnp.abs(rough).max()) + 1e-9
        np.testing.assert_allclose(slope, rough, atol=2e-3 * scale)

    def _inputs(self) -> dict[str, jax.Array]:
        """Make three subjects about the typical one."""
        normal = np.random.default_rng(11).normal(size=(len(self.model.inputs), 3))
        values = {}
        for row, (name, value) in zip(
            normal, self.model.typical().items(), strict=True
        ):
            moved = value + 0.1 * row if value == 0 else value * (1 + 0 * row)
            if any(p.name == name for p in self.model.parameters) and value > 0:
                moved = value * np.exp(self.spread * row)
            values[name] = jnp.asarray(moved)
        return values

    def _doses(self) -> Doses:
        """Give a dose each interval."""
        time = jnp.arange(0.0, self.horizon, self.interval)[None]
        flat, none = jnp.ones(time.shape), jnp.zeros(time.shape, int)
        rate = self.amount / self.duration if self.duration else 0.0
        return Doses(
            time=time,
            amount=self.amount * flat,
            compartment=none,
            rate=rate * flat,
            interval=0.0 * flat,
            steady=none,
            event=none + 1,
            rank=none + 1,
        )

    def _solved(
        self,
        inputs: dict[str, jax.Array] | None = None,
        *,
        grid: np.ndarray | None = None,
        **how: object,
    ) -> Trajectory:
        """Simulate the contract's trial."""
        grid = np.arange(0.0, self.horizon + 1, 6.0) if grid is None else grid
        return simulate(
            self.model,
            self._inputs() if inputs is None else inputs,
            self._doses(),
            times(grid),
            numerics=self.numerics,
            **how,  # type: ignore[arg-type]
        )

    def _near(self, values: jax.Array, others: jax.Array) -> None:
        """Hold two solutions to the contract's tolerance."""
        scale = float(jnp.nanmax(jnp.abs(values)))
        np.testing.assert_allclose(
            values, others, rtol=self.tolerance, atol=self.tolerance * scale
        )
