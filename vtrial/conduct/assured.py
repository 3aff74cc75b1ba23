"""The assurance of a design: its power, averaged over uncertain parameters."""

import dataclasses

import pandas as pd

from vtrial.analysis.assurance import Tried, assurance_of
from vtrial.conduct.enacting import (
    effects_of,
    enact,
    replicates_of,
    truths,
    without_looks,
)
from vtrial.conduct.run import run
from vtrial.design.trials import Trials
from vtrial.errors import ProtocolError
from vtrial.protocol.protocol import Protocol


def assured(
    protocol: Protocol, *, trials: int | None = None, workers: int | None = None
) -> pd.DataFrame:
    """Return the assurance of a design, and its parts.

    Each replicate draws the parameters from their uncertainty, and trials are enacted
    of its subjects. Beside it stands the power of the same design at the model's own
    values, which is simulated, too.

    Parameters
    ----------
    protocol
        Of a model that says how uncertain some parameters are.
    trials
        How many are enacted, of both; by default as many as the protocol says, or as
        there are replicates.

    Returns
    -------
    A row for each comparison and measure, as in `Estimates.enacted`.

    Raises
    ------
    ProtocolError
        If all parameters are known, or doses are escalated.
    """
    protocol = _ready(protocol)
    plain = dataclasses.replace(protocol, uncertainty=False)
    drawn, fixed = (run(one, workers=workers) for one in (protocol, plain))
    made = enact(drawn, protocol, trials=trials)
    at_values = enact(fixed, plain, trials=trials)
    assert isinstance(made, Trials), "no doses are escalated"
    assert isinstance(at_values, Trials), "no doses are escalated"
    tree = drawn.tree()
    draw = replicates_of(tree, protocol, len(made))
    own = truths(fixed.tree(), plain)[:, 0]
    tried = [
        Tried(
            made.success[:, place],
            draw,
            effect[: draw.max() + 1],
            at_values.success[:, place],
            float(own[place]),
        )
        for place, (effect, _) in enumerate(effects_of(tree, protocol))
    ]
    return assurance_of(protocol, tried)


def _ready(protocol: Protocol) -> Protocol:
    """Return a protocol whose trials can be enacted, with every truth known."""
    if not protocol.uncertain:
        said = "`uncertainty: false`" if not protocol.uncertainty else "without `rse`"
        raise ProtocolError(
            at="--assurance",
            found=f"asked of parameters that are known ({said})",
            allowed="asked of a model some of whose parameters have an `rse`, `se` or "
            "`uncertainty`; without it, `vtrial design` tells the power",
            write="",
        )
    enactment = protocol.enactment or without_looks(protocol)
    if enactment.escalation is not None or not protocol.analysis.comparisons:
        raise ProtocolError(
            at="--assurance",
            found="asked of a trial that compares no arms",
            allowed="asked of one with comparisons at `analysis`, and no escalation",
            write="",
        )
    return dataclasses.replace(protocol, potential="all", enactment=enactment)
