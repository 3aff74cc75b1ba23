"""The command that fits a model to a study."""

from pathlib import Path
from typing import Annotated, Literal

import typer

import vtrial as vt
from vtrial.cli.say import print_json, print_table, say, warn

fits = typer.Typer()


@fits.command(
    epilog="Example: `vtrial fit model.yaml --data study.csv --into FIT`, then "
    "`model: FIT/model.yaml` in a protocol"
)
def fit(
    model: Annotated[str, typer.Argument(help="A model sheet or library name.")],
    data: Annotated[Path, typer.Option(help="The study, in NONMEM's format (CSV).")],
    into: Annotated[Path, typer.Option(help="A new folder for what is found.")],
    method: Annotated[
        str,
        typer.Option(
            help="focei, laplace, fo, saem, importance, nuts or vi; see docs."
        ),
    ] = "focei",
    start: Annotated[
        Path | None,
        typer.Option(help="The folder of another fit, to start at its estimates."),
    ] = None,
    fixed: Annotated[
        list[str] | None,
        typer.Option(help="Not estimated: `tvKA`, `eta.KA`, `conc.additive`."),
    ] = None,
    outputs: Annotated[
        str, typer.Option(help="Which output a value of DVID means: `1=conc, 2=pca`.")
    ] = "",
    column: Annotated[
        str, typer.Option(help="The column that tells outputs apart.")
    ] = "DVID",
    below: Annotated[
        Literal["M1", "M3"],
        typer.Option(help="Values below a limit: left out (M1), or counted as such."),
    ] = "M3",
    covariates: Annotated[
        Literal["backward", "forward", "linear"],
        typer.Option(help="How a record's covariates hold; backward, as in NONMEM."),
    ] = "backward",
    covariance: Annotated[
        Literal["sandwich", "R", "S"],
        typer.Option(help="Of the estimates: by curvature and scores, or one of them."),
    ] = "sandwich",
    seed: Annotated[int, typer.Option(help="Of methods that draw.")] = 1,
    draws: Annotated[
        int | None,
        typer.Option(help="Of a chain, or of a subject's effects for its likelihood."),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(help="Steps before those that count: saem, nuts.")
    ] = None,
    chains: Annotated[
        int | None, typer.Option(help="Side by side: saem, nuts.")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Of saem, and vi.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for scripts.")
    ] = False,
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
        return
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
        warn(f"{method} did not converge: its last values are written all the same.")
    say(f"{into}: written. In a protocol: `model: {into}/model.yaml`")
