"""The command that makes a twin of a person, and advises on a dose."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import vtrial as vt
from vtrial.cli.say import (
    NAMED,
    print_json,
    print_people,
    print_table,
    say,
    warn,
    write_csv,
)

if TYPE_CHECKING:
    import pandas as pd

FEW = 100.0  # draws, below which their weights are told to be worth little

twins = typer.Typer()

File = Path | None
Texts = list[str] | None
Output = Annotated[Texts, typer.Option(help="What DVID means: `1=conc`.")]
Advise = Annotated[
    Texts, typer.Option(help="What is wanted: `AUC24 in 400 to 600`; several: all.")
]
Harm = Annotated[
    Texts, typer.Option(help="What is harm; above the wanted range if none is said.")
]
Doses = Annotated[str, typer.Option(help="Strengths: `500, 750, 1000, 1250 mg`.")]
Every = Annotated[str, typer.Option(help="Intervals: `8 h, 12 h, 24 h`.")]
Over = Annotated[str, typer.Option(help="How long an infusion runs: `1 h`.")]
Into = Annotated[str, typer.Option(help="The state it goes into; the first.")]
Until = Annotated[
    str, typer.Option(help="When goals are looked at, after the first new dose.")
]
Times = Annotated[str, typer.Option(help="When to look: `0 h to 72 h every 1 h`.")]
Dose = Annotated[
    Texts, typer.Option(help="Dosing words: what is given after the record.")
]
Instead = Annotated[
    Texts, typer.Option(help="Dosing words: what would have been given instead.")
]
From = Annotated[
    str, typer.Option("--from", help="When new doses begin; when the next is due.")
]


Model = Annotated[str, typer.Argument(help="A model sheet or library name.")]
Data = Annotated[
    File, typer.Option(help="Doses and measured values, as NONMEM has them (CSV).")
]
Stream = Annotated[File, typer.Option(help="Messages about persons, instead (CSV).")]
Codes = Annotated[
    Texts, typer.Option(help="Of --stream: what a code is, `20578-1=conc, MED=dose`.")
]
Below = Annotated[
    Literal["M1", "M3"], typer.Option(help="Values below a limit: left out, or M3.")
]
Draws = Annotated[int, typer.Option(help="How many, of each person.")]
Seed = Annotated[int, typer.Option(help="Of all that is drawn.")]
Weight = Annotated[float, typer.Option(help="Of harm beside the target.")]
Person = Annotated[str, typer.Option(help="Whose figure; the first.")]
Out = Annotated[File, typer.Option(help="Individual parameters as CSV.")]
Predictions = Annotated[File, typer.Option(help="Courses as CSV.")]
Candidates = Annotated[File, typer.Option(help="The advice as CSV.")]
Plot = Annotated[File, typer.Option(help="Draw the course: FILE.svg or FILE.png.")]
PlotAdvice = Annotated[File, typer.Option(help="Draw the advice, too.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@twins.command(
    epilog="Example: `vtrial twin vancomycin-plasma-thomson --data person.csv --advise "
    "'AUC24 in 400 to 600' --doses '500, 750, 1000, 1250 mg' --every '8 h, 12 h, 24 h' "
    "--over '1 h'`"
)
def twin(
    model: Model,
    data: Data = None,
    stream: Stream = None,
    codes: Codes = None,
    output: Output = None,
    below: Below = "M3",
    draws: Draws = 1000,
    seed: Seed = 0,
    advise: Advise = None,
    harm: Harm = None,
    doses: Doses = "",
    every: Every = "",
    over: Over = "",
    into: Into = "",
    until: Until = "48 h",
    weight: Weight = 1.0,
    dose: Dose = None,
    instead: Instead = None,
    from_: From = "",
    times: Times = "",
    person: Person = "",
    out: Out = None,
    predictions: Predictions = None,
    candidates: Candidates = None,
    plot: Plot = None,
    plot_advice: PlotAdvice = None,
    as_json: Json = False,
) -> None:
    """Find what is probable of a person after measured values, and which dose fits."""
    _refuse(advise, doses, every, candidates or plot_advice)
    grid = vt.twin.times_of(times, at="--times") if times else None
    start = vt.twin.times_of(from_, at="--from").item() if from_ else None
    last = vt.twin.times_of(until, at="--until").item()
    loaded = vt.load_model(model)
    study, messages = _record(loaded, data, stream, codes, output, below)
    known = vt.twin.posterior(loaded, study, draws=draws, seed=seed)
    tables = {"individuals": vt.twin.individuals(known), "quality": known.quality()}
    files = {out: tables["individuals"]}
    if messages is not None:
        tables["messages"] = messages
    asked, told, who = dose, None, person or None
    if advise:
        choice = {"doses": doses, "every": every, "over": over, "into": into}
        judged = {"harm": harm or (), "weight": weight, "start": start, "until": last}
        advice = vt.twin.advise(known, advise, **choice, **judged)
        tables["advice"] = files[candidates] = advice.table
        asked, told = dose or [advice.best(who)], advice
        _draw_advice(advice, known, plot_advice, who)
    if instead:
        tables["instead"] = vt.twin.compare(known, instead, grid, start=start)
        files[predictions] = tables["instead"]
    elif predictions is not None:
        files[predictions] = vt.twin.predict(known, grid, dose=asked, start=start)
    if plot is not None:
        drawn = vt.twin.courses(known, grid, person=who, dose=asked, start=start)
        vt.report.plot_profiles(drawn, plot, observed=known.observed(who))
    _deliver(tables, files, told, (plot, plot_advice), as_json=as_json)


def _record(
    model: "vt.Model",
    data: Path | None,
    stream: Path | None,
    codes: Texts,
    output: Texts,
    below: Literal["M1", "M3"],
) -> "tuple[vt.fit.Study, pd.DataFrame | None]":
    """Read persons from a table, or from messages and tell how these were read."""
    pairs = vt.jobs.pairs_of(",".join(codes or output or ()))
    if data is not None and stream is None and not codes:
        read = vt.fit.read_study
        return read(
            model, data, outputs=pairs or None, below=below, unobserved=True
        ), None
    if data is not None or stream is None or output:
        options = {"--data": data, "--stream": stream, "--codes": codes}
        options |= {"--output": output}
        found = " and ".join(name for name, one in options.items() if one) or "missing"
        allowed = "--data with or without --output, or --stream with --codes"
        raise vt.VtrialError("the record", found, allowed, "--data person.csv")
    if not codes:
        such = '--codes "20578-1=conc, VANCOMYCIN=dose"'
        raise vt.VtrialError("--codes", "missing", "given with --stream", such)
    import pandas as pd

    found = vt.twin.read_stream(model, stream, pairs)
    return found.study(model), pd.DataFrame([dict(found.counts)])


def _deliver(
    tables: "Mapping[str, pd.DataFrame]",
    files: "Mapping[Path | None, pd.DataFrame]",
    advice: "vt.twin.advice.Advice | None",
    drawn: Sequence[Path | None],
    *,
    as_json: bool,
) -> None:
    """Write files, print tables, and say what is in them."""
    written = {path: table for path, table in files.items() if path is not None}
    for path, table in written.items():
        write_csv(table, path)
    if as_json:
        print_json({name: table.to_dict("records") for name, table in tables.items()})
        return
    if "messages" in tables:
        print_table(tables["messages"], title="Messages")
    print_people(tables["individuals"], "Individual parameters, with the middle 90 %")
    if advice is not None:
        print_table(advice.in_words(), title="Candidates, the best first")
        said = (f"{word[0].upper()}{word[1:]}." for word in advice.words)
        say("\n".join(said))
    for path in (*written, *(one for one in drawn if one is not None)):
        say(f"{path}: written.")
    _warn(tables["quality"])


def _refuse(advise: Texts, doses: str, every: str, written: Path | None) -> None:
    """Refuse options of advice without one another."""
    asks = {"--doses": doses, "--every": every}
    if advise and not all(asks.values()):
        name = next(name for name, given in asks.items() if not given)
        such = {"--doses": "500, 750, 1000 mg", "--every": "8 h, 12 h, 24 h"}[name]
        allowed = "given with --advise: what there is to choose from"
        raise vt.VtrialError(name, "missing", allowed, f'{name} "{such}"')
    given = [name for name, value in asks.items() if value]
    given += ["--candidates or --plot-advice"] if written else []
    if given and not advise:
        such = '--advise "AUC24 in 400 to 600"'
        raise vt.VtrialError(given[0], "given without --advise", "with a goal", such)


def _draw_advice(
    advice: "vt.twin.advice.Advice",
    known: "vt.twin.importance.Posterior",
    path: Path | None,
    person: str | None,
) -> None:
    """Draw the candidates of one person by the first goal, where that is asked for."""
    if path is None:
        return
    goal, who = advice.goals[0], str(known.identity[known.place(person)])
    rows = advice.table[advice.table["ID"].astype(str) == who]
    vt.report.plot_advice(rows, path, value=goal.label, low=goal.low, high=goal.high)


def _warn(quality: "pd.DataFrame") -> None:
    """Name persons of whom little is known about what is probable."""
    bad = quality[(quality["search"] != "converged") | (quality["effective"] < FEW)]
    for row in bad.head(NAMED).itertuples(index=False):
        said = f"{row.search}; draws worth {row.effective:.0f} independent ones"
        warn(f"person {row.ID}: {said}. More --draws, or another model.")
    if len(bad) > NAMED:
        warn(f"and {len(bad) - NAMED} more persons.")
