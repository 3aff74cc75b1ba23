"""Cases: small inputs on which a simulator of this kind goes wrong.

Each test is called as its case; inputs of more than a few lines lie in a folder of that
name. Cases that are about tables stand where the tables are read, in
`conduct/test_predictions.py`, `cohort/test_table.py` and `protocol/test_observed.py`;
`nca-below-quantification` in `protocol/test_quantification.py`, and
`visits-at-occasions` in `conduct/test_schedule.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import vtrial as vt
from vtrial.dims import ENDPOINT, OUTPUT
from vtrial.types import Numerics

METHODS = ("auto", "explicit", "stiff", "diffrax")
COHORT = "cohort: anybody\ncovariates: {WT: {unit: kg, constant: 70}}\n"


@dataclass(frozen=True)
class Case:
    """The folder of a case, and one to write in."""

    folder: Path
    scratch: Path

    def alone(self, sheet, output, hours, *, method="auto", doses=None):
        """Return an output of the typical subject at some hours, before doses there."""
        model = vt.load_model(self.folder / sheet)
        solved = vt.simulate(
            model,
            model.typical(),
            vt.dosing.no_doses() if doses is None else doses,
            vt.dosing.times(hours),
            numerics=Numerics(method=method),
        )
        assert solved.status.tolist() == [0]
        assert solved.fallback.tolist() == [0]
        return np.asarray(solved.outputs[output])[0]

    def tried(
        self, sheet, output, hours, *, method="auto", dose="", more="", cohort=COHORT
    ):
        """Put it on trial with two subjects, everything kept.

        Return true values at the hours, and the first subject's trajectory.
        """
        points = {f"{hour:g}": f"take: value, at: {hour:g} h" for hour in hours}
        how = {"method": method, "dose": dose, "more": more, "cohort": cohort}
        return self.measured(sheet, output, points, hours, **how)

    def measured(
        self,
        sheet,
        output,
        points,
        hours,
        *,
        method="auto",
        dose="",
        more="",
        cohort=COHORT,
    ):
        """Put it on trial with two subjects, looked at at some hours, everything kept.

        Return the numbers of endpoints of true values, given by how they are taken, and
        the first subject's trajectory.
        """
        name = self.scratch / "case.yaml"
        self.scratch.joinpath("anybody.yaml").write_text(cohort)
        looks = ", ".join(f"{hour:g} h" for hour in hours)
        arm = f'dose: "{dose}"' if dose else ""
        lines = [
            "protocol: case",
            f"model: {self.folder / sheet}",
            "cohort: anybody.yaml",
            "subjects: 2",
            f"arms: {{one: {{{arm}}}}}",
            f'visits: {{look: {{at: "{looks}", measure: [{output}]}}}}',
            f"numerics: {{method: {method}}}",
            "keep: {trajectories: all}",
            *([more] if more else []),
            "endpoints:",
            *(
                f"  '{point}': {{of: {output}, {words}, values: true}}"
                for point, words in points.items()
            ),
        ]
        name.write_text("\n".join(lines) + "\n")
        record = vt.run(vt.load_protocol(name), out=self.scratch / "out", workers=0)
        arm = record.tree()["arms/one"]
        assert (np.asarray(arm["status"]) == 0).all()
        outcomes = arm["outcomes"].to_dataset()["outcome"]
        found = outcomes.sel({ENDPOINT: list(points)}).values
        np.testing.assert_array_equal(found[0], found[1])
        course = arm["trajectories"].to_dataset()["value"]
        return found[0], course.sel({OUTPUT: output})[0]


@pytest.fixture
def case(request, tmp_path):
    """The case that a file of tests is about."""
    name = request.path.stem.removeprefix("test_").replace("_", "-")
    return Case(request.path.parent / name, tmp_path)


def methods(*fast):
    """Make a parameter of the methods; those that are not among `fast` are slow."""
    return [
        pytest.param(name, marks=[] if name in fast else [pytest.mark.slow])
        for name in METHODS
    ]


@pytest.fixture(params=methods("auto", "explicit", "stiff"))
def method(request):
    """The method that is chosen, and each that steps."""
    return request.param


@pytest.fixture(params=methods("auto"))
def trial_method(request):
    """The same; on trial, where it is the same solver, the others are slow."""
    return request.param


@pytest.fixture
def bolus():
    """Make one dose into the first state at 0 h."""

    def make(amount, *, interval=0.0, steady=0):
        real, whole = np.full((1, 1), float(amount)), np.ones((1, 1), int)
        return vt.dosing.Doses(
            *(0 * real, real, 0 * whole, 0 * real, 0 * real + interval),
            *(steady * whole, whole, whole),
        )

    return make
