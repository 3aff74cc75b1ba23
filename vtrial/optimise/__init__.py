"""The regimen.

Takes a Protocol that says what may vary, what is aimed at and what must hold.
Does search on the same people for every candidate, by gradient through them where there
is one, round to what is real, and verify without smoothing on fresh people.
Gives an Optimum: the regimen, its numbers, the search, the front and the verification.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Group": "vtrial.protocol.sampling",
        "Optimum": "vtrial.optimise.optimum",
        "find_regimen": "vtrial.optimise.find",
        "expected_information": "vtrial.optimise.gain",
        "information": "vtrial.optimise.fisher",
        "load_sampling": "vtrial.protocol.sampling",
        "optimal_times": "vtrial.optimise.exchange",
        "plan_sampling": "vtrial.optimise.sampling",
        "write_optimum": "vtrial.optimise.optimum",
    },
)
