"""The command that fits a model to a study."""

from pathlib import Path
from typing import Annotated, Literal

import typer

import vtrial as vt
from vtrial.cli.say import print_json, print_table, say, warn

fits = typer.Typer()

Model = Annotated[str, typer.Argument(help="A model sheet or library name.")]
Data = Annotated[Path, typer.Option(help="The study, in NONMEM's format (CSV).")]
Into = Annotated[Path, typer.Option(help="A new folder for what is found.")]
Method = Annotated[
    str,
    typer.Option(help="focei, laplace, fo, saem, importance, nuts or vi; see docs."),
]
Start = Annotated[
    Path | None,
    typer.Option(help="The folder of another fit, to start at its estimates."),
]
Fixed = Annotated[
    list[str] | None,
    typer.Option(help="Not estimated: `tvKA`, `eta.KA`, `conc.additive`."),
]
Outputs = Annotated[
    str, typer.Option(help="Which output a value of DVID means: `1=conc, 2=pca`.")
]
Column = Annotated[str, typer.Option(help="The column that tells outputs apart.")]
Below = Annotated[
    Literal["M1", "M3"],
    typer.Option(help="Values below a limit: left out (M1), or counted as such."),
]
Covariates = Annotated[
    Literal["backward", "forward", "linear"],
    typer.Option(help="How a record's covariates hold; backward, as in NONMEM."),
]
Covariance = Annotated[
    Literal["sandwich", "R", "S"],
    typer.Option(help="Of the estimates: by curvature and scores, or one of them."),
]
Seed = Annotated[int, typer.Option(help="Of methods that draw.")]
Draws = Annotated[
    int | None,
    typer.Option(help="Of a chain, or of a subject's effects for its likelihood."),
]
Warmup = Annotated[
    int | None, typer.Option(help="Steps before those that count: saem, nuts.")
]
Chains = Annotated[int | None, typer.Option(help="Side by side: saem, nuts.")]
Iterations = Annotated[int | None, typer.Option(help="Of saem, and vi.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@fits.command(
    epilog="Example: `vtrial fit model.yaml --data study.csv --into FIT`, then "
    "`model: FIT/model.yaml` in a protocol"
)
def fit(
    model: Model,
    data: Data,
    into: Into,
    method: Method = "focei",
    start: Start = None,
    fixed: Fixed = None,
    outputs: Outputs = "",
    column: Column = "DVID",
    below: Below = "M3",
    covariates: Covariates = "backward",
    covariance: Covariance = "sandwich",
    seed: Seed = 1,
    draws: Draws = None,
    warmup: Warmup = None,
    chains: Chains = None,
    iterations: Iterations = None,
    as_json: AsJson = False,
) -> None:
    """Estimate a model's parameters from a study, and write the model they make."""

    def tell(step: int, objective: float, left: float) -> None:
        said = f"objective {objective:.4f}" if objective == objective else "going on"
        more = f", may fall by {left:.2g}" if left == left else ""
        warn(f"step {step:>3}: {said}{more}")

    found = vt.calibrate(
        model,
        data,
        into=into,
        method=method,
        start=start,
        fixed=fixed or (),
        outputs=vt.jobs.pairs_of(outputs) or None,
        column=column,
        below=below,
        covariates=covariates,
        covariance=covariance,
        seed=seed,
        draws=draws,
        warmup=warmup,
        chains=chains,
        iterations=iterations,
        tell=tell,
    )
    if as_json:
        print_json(vt.fit.summary_of(found))
    else:
        _say(found, into)


def _say(found: "vt.fit.Fit", into: Path) -> None:
    """Print what was found."""
    print_table(vt.fit.tables_of(found)["estimates"], title="Estimates")
    study = found.study
    chance = f" ± {found.error:.2g}" if found.error else ""
    steps = f"{len(found.course) - 1} steps, " if found.course else ""
    say(
        f"Objective {found.objective:.3f}{chance} by {found.likelihood} for "
        f"{study.observations:,} observations of {study.subjects:,} subjects, {steps}"
        f"{found.seconds:.1f} s; condition number {found.condition:.3g}."
    )
    if astray := found.told.get("divergences"):
        warn(f"{astray} draws diverged: the posterior may be wider than they say.")
    if not found.converged:
        warn(f"{found.method} did not converge: its last values are written, too.")
    say(f"{into}: written. In a protocol: `model: {into}/model.yaml`")
