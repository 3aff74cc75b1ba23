"""The command that fits a model to a study."""

from collections.abc import Sequence
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
    method: Annotated[str, typer.Option(help="focei.")] = "focei",
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for scripts.")
    ] = False,
) -> None:
    """Estimate a model's parameters from a study, and write the model they make."""

    def tell(step: int, objective: float, left: float) -> None:
        more = f"may fall by {left:.2g}" if left == left else "no slope"
        warn(f"step {step:>3}: objective {objective:.4f}, {more}")

    found = vt.calibrate(
        model,
        data,
        into=into,
        method=method,  # type: ignore[arg-type] # which refuses others
        fixed=fixed or (),
        outputs=vt.jobs.pairs_of(outputs) or None,
        column=column,
        below=below,
        covariates=covariates,
        covariance=covariance,
        tell=tell,
    )
    if as_json:
        print_json(vt.fit.summary_of(found))
        return
    print_table(vt.fit.tables_of(found)["estimates"], title="Estimates")
    study = found.study
    say(
        f"Objective {found.objective:.3f} for {study.observations:,} observations of "
        f"{study.subjects:,} subjects, {len(found.course) - 1} steps, "
        f"{found.seconds:.1f} s; condition number {found.condition:.3g}."
    )
    if not found.converged:
        warn("The search did not converge: its last values are written all the same.")
    say(f"{into}: written. In a protocol: `model: {into}/model.yaml`")


def show_fits(folders: Sequence[Path], *, as_json: bool) -> None:
    """Print fits of one study beside each other."""
    tables = vt.fit.compare_fits(folders)
    if as_json:
        print_json({name: table.to_dict("records") for name, table in tables.items()})
        return
    print_table(tables["fits"], title="Fits of the same study")
    print_table(tables["estimates"], title="Estimates")
    if len(tables["nested"]):
        print_table(tables["nested"], title="Likelihood ratios of nested fits")
