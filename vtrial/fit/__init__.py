"""The fit.

Takes a Model and a Study: what was given to people and measured of them.
Does find what is probable of each person, and of the population.
Gives Modes of persons, and a Fit: estimates with their uncertainty, as a model again.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Likelihood": "vtrial.fit.likelihood",
        "Modes": "vtrial.fit.mode",
        "Study": "vtrial.fit.study",
        "modes": "vtrial.fit.mode",
        "read_study": "vtrial.fit.study",
    },
)
