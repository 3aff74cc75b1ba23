"""A mixed model of repeated measures: all visits, compared at the last."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vtrial.measure.groups import Contrast, Groups, Pairs, Values
from vtrial.measure.kind import Measure

if TYPE_CHECKING:
    from vtrial.measure.covariance import Covariance
    from vtrial.measure.random_intercept import By

COVARIANCES: Mapping[str, "Covariance"] = {
    "unstructured": "un",
    "heterogeneous Toeplitz": "toeph",
    "Toeplitz": "toep",
    "heterogeneous autoregressive": "ar1h",
    "autoregressive": "ar1",
    "heterogeneous compound symmetry": "csh",
    "compound symmetry": "cs",
}
FREEDOMS: Mapping[str, "By"] = {
    "Kenward-Roger": "kenward-roger",
    "Satterthwaite": "satterthwaite",
}


def _repeated(
    groups: Groups, *, level: float, covariance: str, freedom: str
) -> Contrast:
    from vtrial.measure.repeated import mmrm

    assert groups.visits is not None, "it is of visits"
    return mmrm(
        groups.visits.value,
        groups.visits.arm,
        baseline=groups.visits.baseline,
        covariates=groups.covariates,
        versus=groups.visits.versus,
        covariance=COVARIANCES[covariance],
        by=FREEDOMS[freedom],
        level=level,
    )


def _pairs(value: Values, reference: Values) -> Pairs:
    from vtrial.measure.contrast import pairs_of

    return pairs_of("difference of means", value, reference)


KINDS = (
    Measure(
        word="MMRM",
        place=40,
        of="visits",
        kernel=_repeated,
        says="of all visits, at the endpoint's last",
        options=("adjust", "covariance", "freedom"),
        pairs=_pairs,
        lacks="the model has not converged",
    ),
)
