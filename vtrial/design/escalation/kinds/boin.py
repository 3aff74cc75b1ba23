r"""The Bayesian optimal interval design.

$$ \lambda_e = \frac{\log\frac{1 - \phi_1}{1 - \phi}}
                    {\log\frac{\phi (1 - \phi_1)}{\phi_1 (1 - \phi)}}, \qquad
   \lambda_d = \frac{\log\frac{1 - \phi}{1 - \phi_2}}
                    {\log\frac{\phi_2 (1 - \phi)}{\phi (1 - \phi_2)}} . $$
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vtrial.design.escalation import interval
from vtrial.design.escalation.kind import Data, Kind, Option
from vtrial.design.escalation.method import Method
from vtrial.design.escalation.option import level, probability, whole


def boundaries(target: float, safe: float, toxic: float) -> tuple[float, float]:
    """Return the rates up to which to escalate, and from which to de-escalate.

    Liu & Yuan 2015, with equal prior probabilities of the three hypotheses.

    Examples
    --------
    >>> [round(x, 3) for x in boundaries(0.3, 0.18, 0.42)]
    [0.236, 0.359]
    """
    up = np.log((1 - safe) / (1 - target))
    up /= np.log(target * (1 - safe) / (safe * (1 - target)))
    down = np.log((1 - target) / (1 - toxic))
    down /= np.log(toxic * (1 - target) / (target * (1 - toxic)))
    return float(up), float(down)


def prepare(method: Method, most: int) -> Data:
    """Return the tables of the design; 1 in `move` is to escalate."""
    low, high = boundaries(method["target"], method["safe"], method["toxic"])

    def move(treated: np.ndarray, toxic: np.ndarray) -> np.ndarray:
        up, down = np.floor(low * treated), np.ceil(high * treated)
        return np.where(toxic <= up, 1, np.where(toxic >= down, -1, 0))

    return interval.tables(
        move,
        most,
        target=method["target"],
        eliminate=method["eliminate"],
        least=int(method["least"]),
        estimate=0.05,
    )


def usual_rates(options: Mapping[str, Any], doses: int) -> dict[str, Any]:
    """Return the rates to be told from the target that are usual."""
    usual = {"safe": 0.6 * options["target"], "toxic": 1.4 * options["target"]}
    return {name: rate for name, rate in usual.items() if options[name] is None}


def rates_conflict(options: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Find rates that do not stand around the target."""
    safe, target, toxic = (options[name] for name in ("safe", "target", "toxic"))
    if not safe < target:
        return "safe", f"{safe:g}", f"below the target, {target:g}"
    if not target < toxic < 1:
        return "toxic", f"{toxic:g}", f"above the target, {target:g}, and below 1"
    return None


OPTIONS = {
    "target": probability(None, "0.3"),
    "safe": Option(None, "a probability below the target", lambda x: 0 < float(x) < 1),
    "toxic": Option(None, "a probability above the target", lambda x: 0 < float(x) < 1),
    "eliminate": level(0.95),
    "least": whole(3, 1),
}

KINDS = (
    Kind(
        word="BOIN",
        place=60,
        says="escalates and de-escalates where the rate crosses two optimal boundaries",
        sentence=(
            "BOIN with target {target}: rates of {safe} and {toxic} are told from it; "
            "a dose is eliminated where its rate is above the target with probability "
            "over {eliminate}"
        ),
        options=OPTIONS,
        complete=usual_rates,
        conflict=rates_conflict,
        prepare=prepare,
        decide=interval.decide,
        select=interval.select,
        sources=(
            "Liu S, Yuan Y (2015) J R Stat Soc C 64:507-523",
            "Yan F, Zhang L, Zhou Y, Pan H, Liu S, Yuan Y (2020) J Stat Softw 94(13)",
        ),
    ),
)
