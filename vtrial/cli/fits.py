"""The command that fits a model to a study."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import vtrial as vt
from vtrial.cli.say import open_page, print_json, print_table, say, warn

if TYPE_CHECKING:
    import pandas as pd

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
Search = Annotated[
    str, typer.Option(help="Covariates to try step by step: `CL~WT, V~WT`.")
]
Full = Annotated[
    str, typer.Option(help="Covariates to take all at once: `CL~WT, CL~SEX`.")
]
Forward = Annotated[float, typer.Option(help="p-value below which one is taken.")]
Backward = Annotated[float, typer.Option(help="p-value above which one is dropped.")]
Profile = Annotated[
    list[str] | None,
    typer.Option(help="Follow the likelihood along an estimate: `tvCL`."),
]
Simulations = Annotated[
    int, typer.Option(help="Studies that are drawn for NPDE and predictive checks.")
]
Seed = Annotated[int, typer.Option(help="Of what is drawn.")]
Draws = Annotated[
    int | None,
    typer.Option(help="Of a chain, or of a subject's effects for its likelihood."),
]
Warmup = Annotated[
    int | None, typer.Option(help="Steps before those that count: saem, nuts.")
]
Chains = Annotated[int | None, typer.Option(help="Side by side: saem, nuts.")]
Iterations = Annotated[int | None, typer.Option(help="Of saem, and vi.")]
Report = Annotated[bool, typer.Option(help="Write the page.")]
Png = Annotated[bool, typer.Option("--png", help="Write figures as PNG, too.")]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@fits.command(
    epilog="Example: `vtrial fit model.yaml --data study.csv --into FIT`, then "
    "`cohort: FIT` in a protocol"
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
    search: Search = "",
    full: Full = "",
    forward: Forward = 0.05,
    backward: Backward = 0.01,
    profile: Profile = None,
    simulations: Simulations = 1000,
    seed: Seed = 1,
    draws: Draws = None,
    warmup: Warmup = None,
    chains: Chains = None,
    iterations: Iterations = None,
    report: Report = True,
    png: Png = False,
    open_: Open = False,
    as_json: Json = False,
) -> None:
    """Estimate a model's parameters from a study, and write the model they make."""
    options = {
        "into": into,
        "method": method,
        "fixed": fixed or (),
        "outputs": vt.jobs.pairs_of(outputs) or None,
        "column": column,
        "below": below,
        "covariates": covariates,
        "covariance": covariance,
        "start": start,
        "seed": seed,
        "draws": draws,
        "warmup": warmup,
        "chains": chains,
        "iterations": iterations,
        "tell": tell_step,
    }
    _refuse(method, search, full, profile, report)
    levels = {"forward": forward, "backward": backward}
    found, more = _found(model, data, options, search=search, full=full, **levels)
    page = None
    if report:
        drawn = {"simulations": simulations, "seed": seed, "profile": profile or ()}
        frames = vt.fit.checks_of(found, into=into, **drawn) | more
        page = vt.report.render_fit(vt.fit.summary_of(found), frames, into, png=png)
    _deliver(found, more, into, page, as_json=as_json)
    if page and open_:
        open_page(page)


def tell_step(step: int, objective: float, left: float) -> None:
    """Say where a search stands."""
    said = f"objective {objective:.4f}" if objective == objective else "going on"
    more = f", may fall by {left:.2g}" if left == left else ""
    warn(f"step {step:>3}: {said}{more}")


def _found(
    model: str,
    data: Path,
    options: dict[str, Any],
    *,
    search: str,
    full: str,
    forward: float,
    backward: float,
) -> "tuple[vt.fit.Fit, dict[str, pd.DataFrame]]":
    """Fit the model, or the one that a search finds; return tables of the search."""
    asked = search or full
    if not asked:
        return vt.calibrate(model, data, **options), {}
    how = {"full": bool(full), "forward": forward, "backward": backward}
    searched = vt.fit.search(model, data, asked, said=warn, **how, **options)
    steps = {"steps": searched.steps} if search else {}
    return searched.fit, {"forest": searched.forest, **steps}


def _refuse(
    method: str,
    search: str,
    full: str,
    profile: Sequence[str] | None,
    report: bool,
) -> None:
    """Refuse options that do not go together, before anything is computed."""
    if (search or full) and method != "focei":
        asked, allowed = f"{method} with a search", "focei: fits compared by objective"
        raise vt.VtrialError("--method", asked, allowed, "--method focei")
    if search and full:
        raise vt.VtrialError("--full", "given with --search", "one of the two", "")
    if profile and not report:
        allowed = "with the page, which shows it"
        raise vt.VtrialError("--profile", "given with --no-report", allowed, "")


def _deliver(
    found: Any,
    more: "dict[str, pd.DataFrame]",
    into: Path,
    page: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print what was found, and where it stands."""
    summary = vt.fit.summary_of(found)
    if as_json:
        print_json(summary)
        return
    if "steps" in more:
        print_table(more["steps"], title="Search for covariates")
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
    for text in summary["doubts"]:
        warn(f"{text}.")
    if page:
        say(f"Report: {page}")
    say(f"{into}: written. In a protocol: `cohort: {into}`, and no `model`")


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
    if "loo" in tables:
        print_table(tables["loo"], title="Each subject left out in turn")
        _doubt(tables["unsure"])


def _doubt(unsure: "pd.DataFrame") -> None:
    """Say of which subjects the draws cannot tell how they would do unseen."""
    if not len(unsure):
        return
    print_table(unsure, title="Subjects on whom a fit rests too much to leave them out")
    warn(
        "Without these subjects a posterior would be so much another that draws of "
        "this one do not show it: `elpd` is not to be trusted. Fit with more --draws; "
        "if that does not help, look at these subjects, fit all models to the study "
        "without them, and see whether those fits compare as these do."
    )
