"""The command that makes a twin of a person, and advises on a dose."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

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
    import numpy as np
    import pandas as pd


class Use(NamedTuple):
    """What makes use of an option, any of some sets of others; and words if none."""

    by: tuple[frozenset[str], ...]
    lacks: str
    allowed: str
    write: str


def _use(*by: str, lacks: str, allowed: str, write: str) -> Use:
    return Use(tuple(frozenset(one.split()) for one in by), lacks, allowed, write)


CHOICE = {"--doses": "500, 750, 1000 mg", "--every": "8 h, 12 h, 24 h"}
GOAL = _use(
    "--advise",
    lacks="given without --advise",
    allowed="with a goal",
    write='--advise "AUC24 in 400 to 600"',
)
OF_ADVICE = ("harm", "over", "into", "until", "weight", "candidates", "plot-advice")
USES = {
    **dict.fromkeys([*CHOICE, *(f"--{name}" for name in OF_ADVICE)], GOAL),
    "--dose": _use(
        *("--predictions", "--plot"),
        lacks="given without a course under it",
        allowed="given with --plot, or with --predictions and without --instead",
        write="--predictions course.csv",
    ),
    "--from": _use(
        *("--advise", "--dose", "--instead"),
        lacks="given without doses that begin then",
        allowed="given with --advise, --dose or --instead",
        write="",
    ),
    "--times": _use(
        *("--predictions", "--instead", "--plot"),
        lacks="given without a course to look at",
        allowed="given with --predictions, --instead or --plot",
        write="--predictions course.csv",
    ),
    "--person": _use(
        *("--plot", "--plot-advice", "--advise --predictions"),
        lacks="given where nothing is of one person",
        allowed="given with --plot, --plot-advice, or --advise and --predictions",
        write="--plot course.svg",
    ),
}
UNTIL = "48 h"  # after the first new dose
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
    str, typer.Option(help="When goals are looked at, after the first new dose; 48 h.")
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
Weight = Annotated[
    float | None, typer.Option(help="Of harm beside the target; 1.", show_default=False)
]
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
    until: Until = "",
    weight: Weight = None,
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
    asks: dict[str, object] = {"advise": advise, "harm": harm, "doses": doses}
    asks |= {"every": every, "over": over, "into": into, "until": until}
    asks |= {"weight": weight, "dose": dose, "instead": instead, "from": from_}
    asks |= {"times": times, "person": person, "predictions": predictions}
    asks |= {"candidates": candidates, "plot": plot, "plot-advice": plot_advice}
    _refuse(asks)
    grid, start, last = _spans(times, from_, until)
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
        judged = {"harm": harm or (), "start": start, "until": last}
        judged |= {"weight": 1.0 if weight is None else weight}
        advice = vt.twin.advise(known, advise, **choice, **judged)
        tables["advice"] = files[candidates] = advice.table
        asked, told = dose or [advice.best(who)], advice
        _draw_advice(advice, known, plot_advice, who)
    if instead:
        tables["instead"] = vt.twin.compare(known, instead, grid, start=start)
        files[predictions] = tables["instead"]
    elif predictions is not None:
        files[predictions] = vt.twin.predict(known, grid, dose=asked, start=start)
    _draw_course(known, grid, plot, person=who, dose=asked, start=start)
    _deliver(tables, files, told, (plot, plot_advice), as_json=as_json)


def _spans(
    times: str, from_: str, until: str
) -> "tuple[np.ndarray | None, float | None, float]":
    """Return when to look, when new doses begin, and when goals are looked at [h]."""
    grid = vt.twin.times_of(times, at="--times") if times else None
    start = vt.twin.times_of(from_, at="--from").item() if from_ else None
    return grid, start, vt.twin.times_of(until or UNTIL, at="--until").item()


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
    return found.study(model, below=below), pd.DataFrame([dict(found.counts)])


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
    whole = tables.get("instead")
    if whole is not None and not any(whole is one for one in written.values()):
        print_people(whole, "What was given, and what would have been")
    print_people(tables["individuals"], "Individual parameters, with the middle 90 %")
    if advice is not None:
        print_table(advice.in_words(), title="Candidates, the best first")
        said = (f"{word[0].upper()}{word[1:]}." for word in advice.words)
        say("\n".join(said))
    for path in (*written, *(one for one in drawn if one is not None)):
        say(f"{path}: written.")
    _warn(tables["quality"])


def _refuse(options: Mapping[str, object]) -> None:
    """Refuse options that lack others, or that nothing would use."""
    given = {f"--{name}" for name, one in options.items() if one not in (None, "")}
    if "--advise" in given:
        for name, such in CHOICE.items():
            if name not in given:
                allowed = "given with --advise: what there is to choose from"
                raise vt.VtrialError(name, "missing", allowed, f'{name} "{such}"')
    idle = {
        name: use
        for name, use in USES.items()
        if name in given and not any(one <= given for one in use.by)
    }
    # A course under other doses is written in place of that under --dose.
    if "--dose" in given and "--instead" in given and "--plot" not in given:
        idle["--dose"] = USES["--dose"]
    if not idle:
        return
    name, use = next(iter(idle.items()))
    raise vt.VtrialError(name, use.lacks, use.allowed, use.write)


def _draw_course(
    known: "vt.twin.importance.Posterior",
    grid: "np.ndarray | None",
    path: Path | None,
    *,
    person: str | None,
    dose: Texts,
    start: float | None,
) -> None:
    """Draw the course of one person, where that is asked for."""
    if path is None:
        return
    drawn = vt.twin.courses(known, grid, person=person, dose=dose, start=start)
    vt.report.plot_profiles(drawn, path, observed=known.observed(person))


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
