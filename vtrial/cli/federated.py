"""The commands of a fit whose sites keep their rows."""

from pathlib import Path
from typing import Annotated, Any

import typer

import vtrial as vt
from vtrial.cli.fits import (
    Column,
    Covariance,
    Covariates,
    Data,
    Fixed,
    Into,
    Json,
    Model,
    Outputs,
    Start,
    tell_step,
)
from vtrial.cli.say import print_json, print_table, say, warn

federated = typer.Typer()

Shared = Annotated[
    Path, typer.Option(help="The folder of questions and replies; new for each fit.")
]
Patience = Annotated[float, typer.Option(help="How long to wait, in hours.")]
Epsilon = Annotated[
    float | None, typer.Option(help="What may be told of a person in all, with noise.")
]
Delta = Annotated[
    float, typer.Option(help="The probability with which more is told than epsilon.")
]


@federated.command(
    epilog="Example: `vtrial federate model.yaml --shared S --sites a,b,c --into FIT`"
)
def federate(
    model: Model,
    shared: Shared,
    sites: Annotated[str, typer.Option(help="Names of sites: `a, b, c`.")],
    into: Into,
    method: Annotated[str, typer.Option(help="focei or laplace.")] = "focei",
    start: Start = None,
    fixed: Fixed = None,
    covariance: Covariance = "sandwich",
    epsilon: Epsilon = None,
    delta: Delta = 1e-5,
    clip: Annotated[
        float, typer.Option(help="With noise: the norm of a subject's slope.")
    ] = 10.0,
    rounds: Annotated[int, typer.Option(help="With noise: how many.", min=2)] = 40,
    rate: Annotated[float, typer.Option(help="With noise: the first step.")] = 0.3,
    patience: Patience = 24.0,
    as_json: Json = False,
) -> None:
    """Fit a model to the studies of sites that keep their rows: ask, and add up."""
    found = vt.federate(
        model,
        shared=shared,
        sites=[one.strip() for one in sites.split(",") if one.strip()],
        into=into,
        method=method,
        start=start,
        fixed=fixed or (),
        covariance=covariance,
        budget=_budget(epsilon, delta),
        descent=vt.fit.federated.Descent(clip, rounds, rate),
        patience=3600 * patience,
        tell=tell_step,
        said=warn,
    )
    summary = found.summary()
    if as_json:
        print_json(summary)
        return
    tables = found.tables()
    print_table(tables["estimates"], title="Estimates")
    print_table(tables["sites"], title="Sites")
    if found.noise is None:
        say(
            f"Objective {found.objective:.3f} by {found.likelihood} in "
            f"{found.rounds} rounds, {found.seconds:.1f} s."
        )
    else:
        say(
            f"{found.rounds} rounds with noise of {found.noise.sigma:.3g} times the "
            f"sensitivity of a sum: of each person, epsilon {found.noise.epsilon:.3g} "
            f"at delta {found.noise.delta:g} is spent."
        )
    for text in summary["doubts"]:
        warn(f"{text}.")
    say(f"{into}: written. In a protocol: `model: {into}/model.yaml`")


@federated.command(
    epilog="Example: `vtrial site model.yaml --data a.csv --shared S --name a`"
)
def site(
    model: Model,
    data: Data,
    shared: Shared,
    name: Annotated[str, typer.Option(help="As the coordinator knows the site.")],
    minimum: Annotated[
        int, typer.Option(help="Subjects, below which nothing is told.", min=1)
    ] = 5,
    epsilon: Epsilon = None,
    delta: Delta = 1e-5,
    outputs: Outputs = "",
    column: Column = "DVID",
    covariates: Covariates = "backward",
    patience: Patience = 24.0,
) -> None:
    """Answer a federated fit with sums over this site's subjects; rows stay here."""
    count = vt.serve_site(
        model,
        data,
        shared=shared,
        name=name,
        minimum=minimum,
        budget=_budget(epsilon, delta),
        outputs=vt.jobs.pairs_of(outputs) or None,
        column=column,
        covariates=covariates,
        patience=3600 * patience,
        said=warn,
    )
    say(f"The fit has ended: {count} rounds answered here.")


def _budget(epsilon: float | None, delta: float) -> Any:
    """Return what may be told of a person, if sums are to have noise."""
    return None if epsilon is None else vt.fit.federated.Budget(epsilon, delta)
