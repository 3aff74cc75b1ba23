"""What a protocol may ask of a flow: what is told of its days, and nothing between."""

from vtrial.model.flow import Flow
from vtrial.protocol.derived import is_derived
from vtrial.protocol.faults import Faults
from vtrial.protocol.scope import Known
from vtrial.protocol.shape import EndpointShape, ProtocolShape
from vtrial.sheets.sheet import Path_

_BESIDE = ("rules", "visits", "eligible", "grid", "occasions")
_OF_TIMES = ("at", "within", "baseline", "confirmed", "visits")
_ONCE = "left out: what is told of a day is one number, known when it is over"


def asked_of_flow(shape: ProtocolShape, known: Known, faults: Faults) -> ProtocolShape:
    """Say of endpoints of a flow what goes without saying, and refuse what has no time.

    What is told of a day is known when it is over: an endpoint needs only `of`, nobody
    decides or measures anything in between, and there are no courses.
    """
    flow = known.model.flow if known.model else None
    if flow is None:
        return shape
    for key in _BESIDE:
        if getattr(shape, key):
            faults.add((key,), found="given for a flow", allowed=_ONCE)
    if shape.keep.trajectories not in ("quantiles", "nothing"):
        path: Path_ = ("keep", "trajectories")
        faults.add(path, found="given for a flow", allowed=_ONCE)
    told = {
        name: _told(name, one, flow, known, faults)
        for name, one in shape.endpoints.items()
    }
    keep = shape.keep.model_copy(update={"trajectories": "nothing"})
    return shape.model_copy(update={"endpoints": told, "keep": keep})


def _told(
    name: str, shape: EndpointShape, flow: Flow, known: Known, faults: Faults
) -> EndpointShape:
    """Fill in an endpoint: the value at the end of the day, as it is."""
    if is_derived(shape) or known.counts(shape.of):
        return shape
    given = [key for key in _OF_TIMES if getattr(shape, key) is not None]
    given += ["take"] if shape.take not in (None, "value") else []
    given += ["values"] if shape.values == "measured" else []
    for key in given:
        faults.add(("endpoints", name, key), found="given for a flow", allowed=_ONCE)
    end = {"take": "value", "at": f"{flow.closes:.12g} h", "values": "true"}
    return shape.model_copy(update={**dict.fromkeys(_OF_TIMES), **end})
