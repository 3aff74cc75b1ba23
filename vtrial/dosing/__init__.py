"""The doses.

Takes dosing words, or an event table in NONMEM's format.
Does read them against a model, refusing what cannot be given, and write out each dose.
Gives a Regimen and its Doses, or Events: padded arrays with NONMEM's meaning; and the
Schedule of which kinds of events there are.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Doses": "vtrial.dosing.doses",
        "Events": "vtrial.dosing.table",
        "Regimen": "vtrial.dosing.regimen",
        "Schedule": "vtrial.dosing.schedule",
        "Times": "vtrial.dosing.doses",
        "expand": "vtrial.dosing.expansion",
        "no_doses": "vtrial.dosing.doses",
        "parse_regimen": "vtrial.dosing.words",
        "read_events": "vtrial.dosing.table",
        "read_parameters": "vtrial.dosing.table",
        "schedule_of": "vtrial.dosing.schedule",
        "times": "vtrial.dosing.doses",
    },
)
