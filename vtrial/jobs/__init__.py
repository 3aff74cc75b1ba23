"""Everyday jobs that need no protocol.

Takes a model with doses in words or as an event table, or a table of measured data.
Does predict a population, analyse without compartments, draw and match people, clean
tables.
Gives tables with their units.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "convert_table": "vtrial.jobs.conversion",
        "draw_people": "vtrial.jobs.people",
        "exposure": "vtrial.jobs.exposure_summary",
        "pairs_of": "vtrial.jobs.conversion",
        "match_people": "vtrial.jobs.matching",
        "noncompartmental": "vtrial.jobs.nca",
        "nca_summary": "vtrial.jobs.nca",
        "nca_wide": "vtrial.jobs.nca",
        "read_table": "vtrial.jobs.any_table",
        "simulate_population": "vtrial.jobs.population",
        "simulate_table": "vtrial.jobs.event_predictions",
        "write_people": "vtrial.jobs.people",
    },
)
