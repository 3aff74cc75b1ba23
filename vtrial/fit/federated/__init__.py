"""Federated fits: sites keep their rows; sums over their subjects leave.

Takes a model, a folder that all can reach, and the names of sites.
Does ask each for its sums at a vector, and search as the pooled fit does.
Gives the pooled fit's estimates, without a table of anybody.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Budget": "vtrial.fit.federated.privacy",
        "Descent": "vtrial.fit.federated.descent",
        "FederatedFit": "vtrial.fit.federated.fit",
        "federate": "vtrial.fit.federated.coordinator",
        "serve_site": "vtrial.fit.federated.site",
    },
)
