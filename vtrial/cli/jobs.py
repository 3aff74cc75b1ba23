"""The commands of everyday jobs, which need no protocol."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import vtrial as vt
from vtrial.cli.say import print_json, print_table, say, warn, write_csv

if TYPE_CHECKING:
    import pandas as pd

NAMED = 20  # failed subjects that are named one by one
TOLERANCE = {"rtol": 1e-8, "atol": 1e-10}

jobs = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Path_ = Path | None
Plot = Annotated[Path_, typer.Option(help="Draw it: FILE.svg or FILE.png.")]
Observed = Annotated[
    Path_, typer.Option(help="Measured data to draw, too: ID, TIME, DV (CSV).")
]
Log = Annotated[bool, typer.Option("--log", help="On a logarithmic scale.")]
Dose = Annotated[
    list[str] | None, typer.Option(help="Dosing words; several run side by side.")
]
Times = Annotated[
    str, typer.Option(help="When to look: `0 h to 168 h every 1 h, day 14`.")
]
Cohort = Annotated[
    str, typer.Option(help="Who is dosed; the model's typical person if none.")
]
Uncertainty = Annotated[
    bool, typer.Option("--uncertainty", help="Draw parameters by their errors.")
]
Typical = Annotated[bool, typer.Option("--typical", help="Random effects are zero.")]
Residual = Annotated[
    bool, typer.Option("--residual", help="Measured values beside the true ones.")
]
After = Annotated[
    bool, typer.Option("--after-dose", help="At a dose's time, look after it.")
]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="Covariates and individual parameters for each row."),
]
Route = Annotated[
    str | None,
    typer.Option(help="extravascular, bolus or infusion, if no column says it."),
]
Rule = Annotated[str, typer.Option(help="linear up log down, linear, or linear log.")]
Blq = Annotated[
    str,
    typer.Option(
        help="What values below the limit of quantification count as: zero before "
        "first; zero before Tmax, missing after; drop; zero; LLOQ/2; LLOQ/2 once."
    ),
]
Rtol = Annotated[
    float | None, typer.Option(help="With --data: relative tolerance; 1e-8.")
]
Atol = Annotated[
    float | None, typer.Option(help="With --data: absolute tolerance; 1e-10.")
]
Column = Annotated[
    list[str] | None,
    typer.Option(help="With --data and a .phi file: `eta.CL=ETA1`."),
]
Random = Annotated[
    bool, typer.Option("--random", help="With --data: draw random effects.")
]
Follow = Annotated[
    Literal["backward", "forward", "linear"],
    typer.Option(
        help="With --data: a record's covariates hold up to it (as in NONMEM), from it "
        "on, or are joined by straight lines."
    ),
]


@jobs.command(
    epilog="Example: `vtrial simulate one-compartment-oral --dose '100 mg every 24 h x "
    "7' --cohort adults --times '0 h to 168 h every 1 h' --plot pop.svg`"
)
def simulate(
    model: Annotated[str, typer.Argument(help="A model sheet or library name.")],
    dose: Dose = None,
    times: Times = "",
    cohort: Cohort = "",
    subjects: Annotated[
        int | None, typer.Option(help="How many; 1000 if none is said.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is drawn; 0.")] = None,
    replicates: Annotated[
        int | None, typer.Option(help="So many populations, each with its own people.")
    ] = None,
    uncertainty: Uncertainty = False,
    typical: Typical = False,
    residual: Residual = False,
    occasions: Annotated[str, typer.Option(help="When occasions begin.")] = "",
    after_dose: After = False,
    keep: Keep = None,
    data: Annotated[
        Path_, typer.Option(help="Instead: an event table in NONMEM's format (CSV).")
    ] = None,
    parameters: Annotated[
        Path_, typer.Option(help="With --data: a row an ID, or one row.")
    ] = None,
    column: Column = None,
    random: Random = False,
    covariates: Follow = "backward",
    rtol: Rtol = None,
    atol: Atol = None,
    out: Annotated[Path_, typer.Option(help="Predictions as CSV.")] = None,
    plot: Plot = None,
    observed: Observed = None,
    log: Log = False,
    as_json: Json = False,
) -> None:
    """Predict a population under a dose, or every record of an event table."""
    words = {"dose": dose, "times": times, "cohort": cohort, "occasions": occasions}
    sizes = {"subjects": subjects, "seed": seed, "replicates": replicates, "keep": keep}
    switches = {"typical": typical, "residual": residual, "uncertainty": uncertainty}
    switches["after_dose"] = after_dose
    if data is not None:
        sizes |= {"seed": None if random else seed}
        _alone("--data", words | sizes | switches | {"json": as_json})
        table = vt.jobs.simulate_table(
            model,
            data,
            parameters=parameters,
            rtol=rtol or TOLERANCE["rtol"],
            atol=atol or TOLERANCE["atol"],
            covariates=covariates,
            random=random,
            seed=seed or 0,
            columns=vt.jobs.pairs_of(",".join(column or ())),
        )
    else:
        given = {"parameters": parameters, "rtol": rtol, "atol": atol}
        given |= {"random": random, "column": column}
        given["covariates"] = "" if covariates == "backward" else covariates
        _alone("--times", given)
        table = _population(model, words, sizes | switches)
    _deliver(table, out, plot, observed, log, as_json, events=data is not None)
    _warn_of_failures(table)


def _population(
    model: str, words: Mapping[str, Any], how: Mapping[str, object]
) -> "pd.DataFrame":
    """Predict a population; without times nobody knows what is asked."""
    if not words["times"]:
        raise vt.VtrialError(
            "simulate",
            "without --times, and without --data",
            "told when to look, or given an event table",
            '--dose "100 mg every 24 h x 7" --times "0 h to 168 h every 1 h"',
        )
    return vt.jobs.simulate_population(
        model,
        words["dose"] or None,
        times=words["times"],
        cohort=words["cohort"] or None,
        occasions=words["occasions"],
        **how,
    )


def _deliver(
    table: "pd.DataFrame",
    out: Path | None,
    plot: Path | None,
    observed: Path | None,
    log: bool,
    as_json: bool,
    *,
    events: bool,
) -> None:
    """Write a table and draw it; with neither, say it in a few numbers."""
    if observed is not None and plot is None:
        raise vt.VtrialError("--observed", "without --plot", "drawn", "--plot pop.svg")
    points = None if observed is None else vt.jobs.read_table(observed)
    if plot is not None:
        vt.report.plot_profiles(table, plot, observed=points, log=log)
        say(f"{plot}: written.")
    if out is not None:
        write_csv(table, out)
        rows = f"{len(table):,} observation records" if events else _extent(table)
        say(f"{out}: {rows}.")
    if events and out is None and plot is None:
        raise vt.VtrialError("simulate", "without --out", "given a file", "--out p.csv")
    if not events and (as_json or out is None):
        found = vt.jobs.exposure(table)
        if as_json:
            print_json(found.to_dict("records"))
        else:
            print_table(found, title="Median, and the middle 90 % of subjects")


def _extent(table: "pd.DataFrame") -> str:
    """Say how large a table of predictions is, and in which units."""
    units = table.attrs.get("units", {})
    subjects = len(table) // max(table["TIME"].nunique(), 1)
    named = ", ".join(f"{name} [{unit}]" for name, unit in units.items() if unit != "1")
    many = f"{subjects:,} subject{'s'[: subjects != 1]}"
    return f"{many} at {table['TIME'].nunique():,} times; {named}"


def _alone(option: str, others: Mapping[str, object]) -> None:
    """Refuse options that mean nothing beside another."""
    for name, value in others.items():
        if value not in (None, "", False):
            word = f"--{name.replace('_', '-')}"
            raise vt.VtrialError(
                word, f"given beside {option}", f"left out with {option}", ""
            )


def _warn_of_failures(table: "pd.DataFrame") -> None:
    """Name the subjects of a prediction table that could not be solved, and why."""
    if "STATUS" not in table:
        return
    failed = table[table["STATUS"] != "solved"].drop_duplicates("ID")
    for subject, status in zip(failed["ID"][:NAMED], failed["STATUS"], strict=False):
        warn(f"subject {subject}: {status}. Predictions of it are missing.")
    if len(failed) > NAMED:
        warn(f"and {len(failed) - NAMED} more subjects; see the column STATUS.")


@jobs.command(
    epilog="Example: `vtrial nca data.csv --conc ng/mL --dose mg --partial '0 h to 24 "
    "h' --out pp.csv`"
)
def nca(
    data: Annotated[Path, typer.Argument(help="ID, TIME, DV and doses (CSV).")],
    time: Annotated[str, typer.Option(help="Unit of TIME.")] = "h",
    conc: Annotated[str, typer.Option(help="Unit of DV.")] = "mg/L",
    dose: Annotated[str, typer.Option(help="Unit of AMT.")] = "mg",
    route: Route = None,
    rule: Rule = "linear up log down",
    blq: Blq = "zero before first",
    lloq: Annotated[float, typer.Option(help="That limit, in the unit of DV.")] = 0.0,
    partial: Annotated[
        list[str] | None, typer.Option(help="Partial area since the dose, in words.")
    ] = None,
    tau: Annotated[str, typer.Option(help="Dosing interval: `24 h`.")] = "",
    steady: Annotated[
        bool, typer.Option("--steady", help="All doses are at steady state.")
    ] = False,
    amount: Annotated[
        str, typer.Option(help="Dose at time 0: a number or a column, without AMT.")
    ] = "",
    by: Annotated[
        list[str] | None, typer.Option(help="Columns that part a subject's rows.")
    ] = None,
    out: Annotated[Path_, typer.Option(help="A row a parameter (CDISC PP).")] = None,
    wide: Annotated[
        bool, typer.Option("--wide", help="In that file a row a profile instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Analyse measured data without compartments: areas, half-lives, clearances."""
    table = vt.jobs.noncompartmental(
        data,
        time=time,
        conc=conc,
        dose=dose,
        route=route,
        rule=rule,
        blq=blq,
        lloq=lloq,
        partial=partial or (),
        tau=tau,
        steady=steady,
        amount=amount,
        by=by or (),
    )
    if out is not None:
        write_csv(vt.jobs.nca_wide(table) if wide else table, out)
    found = vt.jobs.nca_summary(table)
    if as_json:
        print_json(found.to_dict("records"))
        return
    print_table(found, title=f"{data}: parameters over profiles")
    if out is not None:
        say(f"{out}: written.")
    lost = table[table["PPSTAT"] != ""].drop_duplicates(["USUBJID", "PPREASND"])
    for reason, part in lost.groupby("PPREASND", sort=False):
        who = ", ".join(map(str, part["USUBJID"].head(NAMED)))
        more = f" and {len(part) - NAMED} more" if len(part) > NAMED else ""
        warn(f"Not all numbers of {who}{more}: {str(reason).lower()}.")


@jobs.command(epilog="Example: `vtrial cohort adults --subjects 500 --out people.csv`")
def cohort(
    name: Annotated[str, typer.Argument(help="A cohort sheet or shipped name.")],
    subjects: Annotated[int, typer.Option(min=2, help="How many to draw.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    model: Annotated[
        str, typer.Option(help="With --out: as parameters of this model, etas too.")
    ] = "",
    out: Annotated[
        Path_,
        typer.Option(help="A row a subject (CSV); a cohort sheet beside it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw people from a cohort, and say who they are or write them down."""
    loaded = vt.load_cohort(name)
    if out is None:
        _alone("--out", {"model": model})
        table = vt.cohort.summarise(loaded, seed=seed, subjects=subjects)
        if as_json:
            print_json(table.to_dict("records"))
            return
        say(vt.cohort.describe(loaded))
        print_table(table, title=f"{subjects} subjects drawn")
        return
    people = vt.jobs.draw_people(
        loaded, subjects=subjects, seed=seed, model=model or None
    )
    title = f"{subjects:,} subjects of {loaded.name}, seed {seed}"
    sheet = vt.jobs.write_people(people, out, title=title)
    say(f"{out}: {title}. Their units, and a cohort of them: {sheet}")


@jobs.command(epilog="Example: `vtrial plot pop.csv --observed data.csv --out fig.svg`")
def plot(
    predictions: Annotated[Path, typer.Argument(help="ID, TIME and outputs (CSV).")],
    out: Annotated[Path, typer.Option(help="FILE.svg or FILE.png.")],
    observed: Observed = None,
    of: Annotated[
        list[str] | None, typer.Option(help="Outputs; all that change in time if none.")
    ] = None,
    by: Annotated[str, typer.Option(help="A column of groups, in colours.")] = "",
    unit: Annotated[
        list[str] | None, typer.Option(help="Unit of a column: `conc=mg/L`, `TIME=d`.")
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Subjects one by one, too; 100 of a group.")
    ] = False,
    log: Log = False,
) -> None:
    """Draw predictions over time: medians, bands, subjects, measured points."""
    table = vt.jobs.read_table(predictions)
    pairs = [text.partition("=") for text in unit or ()]
    for name, mark, _ in pairs:
        if not mark or name not in table:
            raise vt.VtrialError("--unit", f"`{name}`", "COLUMN=UNIT", "conc=mg/L")
    table.attrs["units"] = {name: value for name, _, value in pairs}
    points = None if observed is None else vt.jobs.read_table(observed)
    vt.report.plot_profiles(
        table, out, of=of or (), by=by, observed=points, log=log, lines=lines
    )
    say(f"{out}: written.")


@jobs.command(epilog="Example: `vtrial convert data.csv --from nonmem --out clean.csv`")
def convert(
    data: Annotated[Path, typer.Argument(help="Another program's table.")],
    dialect: Annotated[str, typer.Option("--from", help="nonmem, monolix or rxode2.")],
    out: Annotated[Path, typer.Option(help="The event table (CSV).")],
    ignore: Annotated[
        str, typer.Option(help="What comments begin with; @: any letter (NONMEM).")
    ] = "",
    column: Annotated[
        list[str] | None, typer.Option(help="What a column is: `DOSE=AMT`.")
    ] = None,
    adm: Annotated[
        str, typer.Option(help="Where administrations go: `1=depot, 2=central`.")
    ] = "",
    both: Annotated[
        str, typer.Option(help="Rows with dose and value (Monolix): dose or split.")
    ] = "",
    time: Annotated[str, typer.Option(help="Unit of TIME.")] = "h",
    as_json: Json = False,
) -> None:
    """Make an event table of another program's data, and say every change."""
    found = vt.jobs.convert_table(
        data,
        dialect,
        out=out,
        ignore=ignore,
        columns=",".join(column or ()),
        routes=adm,
        both=both,
        time=time,
    )
    if as_json:
        print_json({"out": str(out), "changes": list(found.changes)})
        return
    for change in found.changes:
        say(f"- {change}")
    subjects = found.table["ID"].nunique()
    say(f"{out}: {len(found.table):,} rows of {subjects:,} subjects.")
