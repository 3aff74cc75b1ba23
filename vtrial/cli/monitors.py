"""The commands that follow persons by a model with chance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

import vtrial as vt
from vtrial.cli.say import NAMED, print_json, print_people, say, write_csv

monitors = typer.Typer()

Model = Annotated[
    str, typer.Argument(help="A model sheet or library name, with chance.")
]
Data = Annotated[
    Path, typer.Option(help="Doses and measured values, as NONMEM has them (CSV).")
]
Output = Annotated[list[str] | None, typer.Option(help="What DVID means: `1=glucose`.")]
Method = Annotated[
    Literal["particles", "ensemble"],
    typer.Option(help="Whether they are weighted, or moved as Kalman's filter would."),
]
Particles = Annotated[int, typer.Option(help="How many, of each person.")]
Moves = Annotated[
    int, typer.Option(help="Moves of effects after particles are drawn anew.")
]
Seed = Annotated[int, typer.Option(help="Of all that is drawn.")]
Out = Annotated[Path | None, typer.Option(help="The table as CSV.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@monitors.command(
    "filter", epilog="Example: `vtrial filter tremor.yaml --data person.csv`"
)
def follow(
    model: Model,
    data: Data,
    output: Output = None,
    method: Method = "particles",
    particles: Particles = 1000,
    moves: Moves = 0,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Say where persons stand at every measurement, by particles or an ensemble."""
    loaded = vt.load_model(model)
    study = _study(loaded, data, output)
    asked = {"method": method, "particles": particles, "moves": moves, "seed": seed}
    found = vt.twin.filtered(loaded, study, **asked)
    table = found.table()
    if out is not None:
        write_csv(table, out)
    if as_json:
        print_json({"filtered": table.to_dict("records")})
    else:
        print_people(table, "Outputs given all that was measured until then")
        if out is not None:
            say(f"{out}: written.")


@monitors.command(
    epilog="Example: `vtrial monitor icing-glucose --data person.csv --event "
    "'glucose < 4' --within '2 h' --threshold 0.3 --plot alarms.svg`"
)
def monitor(
    model: Model,
    data: Data,
    event: Annotated[str, typer.Option(help="A condition on outputs: `glucose < 4`.")],
    within: Annotated[str, typer.Option(help="How far is looked ahead: `2 h`.")],
    threshold: Annotated[
        float, typer.Option(help="The probability from which on there is an alarm.")
    ],
    output: Output = None,
    method: Method = "particles",
    particles: Particles = 1000,
    moves: Moves = 0,
    seed: Seed = 0,
    person: Annotated[str, typer.Option(help="Whose figure; the first.")] = "",
    plot: Annotated[
        Path | None, typer.Option(help="Draw the probability: FILE.svg or FILE.png.")
    ] = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Tell at each measurement how probable an event is soon, and raise alarms."""
    hours = vt.twin.times_of(within, at="--within", alone=True).item()
    loaded = vt.load_model(model)
    study = _study(loaded, data, output)
    _refuse_person(study, person)
    found = vt.twin.monitor(
        loaded,
        study,
        event=event,
        within=hours,
        threshold=threshold,
        method=method,
        particles=particles,
        moves=moves,
        seed=seed,
    )
    if plot is not None:
        who = found.table["ID"].astype(str)
        rows = found.table[who == (person or who.iloc[0])]
        told = {"event": event, "within": within, "threshold": threshold}
        vt.report.draw("alarms", plot, rows, **told, unit=loaded.time)
    if out is not None:
        write_csv(found.table, out)
    if as_json:
        rows = found.table.to_dict("records")
        print_json({"summary": found.summary, "measurements": rows})
        return
    print_people(found.table, f"P({event}) within {within}, before and after")
    say(_in_words(found.summary))
    for path in (one for one in (out, plot) if one is not None):
        say(f"{path}: written.")


def _study(model: "vt.Model", data: Path, output: list[str] | None) -> "vt.fit.Study":
    """Read what was measured of persons."""
    pairs = vt.jobs.pairs_of(",".join(output)) if output else None
    return vt.fit.read_study(model, data, outputs=pairs, unobserved=True)


def _refuse_person(study: "vt.fit.Study", person: str) -> None:
    """Refuse a person whom the data do not know, before anything is computed."""
    people = [str(one) for one in study.identity]
    if person and person not in people:
        allowed = f"an ID of the data: {', '.join(people[:NAMED])}"
        raise vt.VtrialError("--person", f"`{person}`", allowed, people[0])


def _in_words(summary: "Mapping[str, float]") -> str:
    """Say what alarms there were."""
    events, caught = summary["events"], summary["caught"]
    said = f"Events that were measured: {events:.0f}, after an alarm: {caught:.0f}"
    if caught:
        said += f" (the median lead is {summary['lead_time']:.3g} h)"
    rate = summary["false_alarms_per_day"]
    return f"{said}. Alarms: {summary['alarms']:.0f}, false ones a day: {rate:.2g}."
