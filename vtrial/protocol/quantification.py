"""By which rule an endpoint takes measured values below the limit of quantification."""

from typing import Any

from vtrial.endpoint.registry import kinds
from vtrial.model.model import Output
from vtrial.protocol.faults import Faults
from vtrial.protocol.shape import EndpointShape
from vtrial.sheets.sheet import Path_
from vtrial.sheets.words import listed

KEY = "below quantification"


def read_below(
    path: Path_, shape: EndpointShape, output: Output, values: str, faults: Faults
) -> dict[str, Any]:
    """Return the limit of quantification and the rule; fields of an endpoint.

    Without a word, it is the one of the kind: for what is non-compartmental, values
    below the limit are 0 before the first that is not, and left out later; elsewhere
    they stand for half the limit, as the record has them.
    """
    given, take = shape.below_quantification, shape.take or ""
    ruled = {word: kind.below for word, kind in kinds().items() if kind.below}
    if given is not None:
        why = {
            f"given, though `{output.name}` has no limit of quantification": (
                not output.lloq
            ),
            "given, though true values have no limit of quantification": (
                values == "true"
            ),
            f"given, though `{take}` always takes half the limit": take not in ruled,
        }
        for found, wrong in why.items():
            if wrong:
                allowed = f"left out, or given for a measured {listed(ruled)} of an "
                allowed += "output with `lloq`"
                faults.add((*path, KEY), found=found, allowed=allowed, write="")
                return {}
    if values != "measured" or not output.lloq:
        return {}
    usual = ruled.get(take, "LLOQ/2")
    return {"lloq": output.lloq, "below_quantification": given or usual}
