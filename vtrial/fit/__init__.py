"""The fit.

Takes a Model and a Study: what was given to people and measured of them.
Does find what is probable of each person, and of the population.
Gives Modes of persons, and a Fit: estimates with their uncertainty, as a model again.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Fit": "vtrial.fit.calibration",
        "Modes": "vtrial.fit.mode",
        "Study": "vtrial.fit.study",
        "calibrate": "vtrial.fit.calibration",
        "checks_of": "vtrial.fit.checks",
        "compare_fits": "vtrial.fit.comparison",
        "modes": "vtrial.fit.mode",
        "read_study": "vtrial.fit.study",
        "search": "vtrial.fit.covariate_search",
        "summary_of": "vtrial.fit.folder",
        "tables_of": "vtrial.fit.folder",
        "values_of": "vtrial.fit.values",
    },
)
