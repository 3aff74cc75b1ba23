"""vtrial: in-silico clinical trials, from a protocol sheet to a report.

Load a sheet, run it, read the answer::

    import vtrial as vt

    protocol = vt.load_protocol("docetaxel-dose")
    record = vt.run(protocol)
    estimates = vt.evaluate(record.tree(), protocol)
    estimates.published

Rooms (`vtrial.model`, `vtrial.solver`, ...) load when they are first used.
"""

from vtrial.lazy import lazy_exports
from vtrial.xla_flags import prepare

__version__ = "0.1.0"

_ROOMS = (
    "analysis",
    "cohort",
    "conduct",
    "design",
    "diagnose",
    "dosing",
    "endpoint",
    "fit",
    "jobs",
    "measure",
    "model",
    "observe",
    "optimise",
    "protocol",
    "report",
    "solver",
    "store",
    "testing",
    "twin",
)
_VERBS = {
    "VtrialError": "vtrial.errors",
    "calibrate": "vtrial.fit.calibration",
    "doses": "vtrial.dosing.said",
    "doctor": "vtrial.diagnose.doctor",
    "enact": "vtrial.conduct.enacting",
    "evaluate": "vtrial.analysis.evaluate",
    "federate": "vtrial.fit.federated.coordinator",
    "find_regimen": "vtrial.optimise.find",
    "juxtapose": "vtrial.report.run_comparison",
    "load_cohort": "vtrial.cohort.sheet",
    "load_model": "vtrial.model.sheet",
    "load_protocol": "vtrial.protocol.load",
    "open_record": "vtrial.store.record",
    "plan": "vtrial.conduct.plan",
    "printable": "vtrial.errors",
    "prognose": "vtrial.twin.prognostic",
    "render": "vtrial.report.page",
    "run": "vtrial.conduct.run",
    "serve_site": "vtrial.fit.federated.site",
    "simulate": "vtrial.solver.host",
    "sweep": "vtrial.jobs.points",
}

prepare()

__getattr__, __dir__, __all__ = lazy_exports(
    __name__, {room: f"vtrial.{room}" for room in _ROOMS} | _VERBS
)
