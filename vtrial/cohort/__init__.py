"""Who takes part.

Takes a cohort sheet, a Model and a seed.
Does draw each subject by replicate and number, from one joint NumPyro program.
Gives Subjects: covariates, population parameters, random effects.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Cohort": "vtrial.cohort.cohort",
        "Subjects": "vtrial.cohort.subjects",
        "check_cohort": "vtrial.cohort.check",
        "cohort_schema": "vtrial.cohort.words",
        "describe": "vtrial.cohort.words",
        "load_cohort": "vtrial.cohort.sheet",
        "match_schema": "vtrial.cohort.target",
        "program": "vtrial.cohort.prior",
        "sample": "vtrial.cohort.draw",
        "summarise": "vtrial.cohort.words",
    },
)
