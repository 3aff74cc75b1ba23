"""The command that foretells an outcome under control: prognostic scores."""

from pathlib import Path
from typing import Annotated

import typer

import vtrial as vt
from vtrial.cli.say import print_json, print_people, say, write_csv
from vtrial.cli.twins import Below, Draws, Json, Output, Seed, read_table, warn_of

prognoses = typer.Typer()


@prognoses.command(
    "score",
    epilog="Example: `vtrial score vancomycin-plasma-thomson --data baseline.csv --of "
    "conc --at '48 h' --correlation 0.6 --out scores.csv`",
)
def score(
    model: Annotated[str, typer.Argument(help="A model sheet or library name.")],
    data: Annotated[
        Path, typer.Option(help="What is known at baseline, and control's doses (CSV).")
    ],
    of: Annotated[str, typer.Option(help="The output that is foretold.")],
    at: Annotated[str, typer.Option(help="When, on the clock of the table: `48 h`.")],
    correlation: Annotated[
        float | None,
        typer.Option(help="Of scores with outcomes under control, in a trial before."),
    ] = None,
    output: Output = None,
    below: Below = "M3",
    draws: Draws = 1000,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="The scores as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Foretell an outcome under control of persons: scores to adjust a trial for."""
    hours = vt.twin.times_of(at, at="--at", alone=True).item()
    loaded = vt.load_model(model)
    study = read_table(loaded, data, output, below)
    asked = {"correlation": correlation, "draws": draws, "seed": seed}
    found = vt.prognose(loaded, study, of=of, at=hours, **asked)
    if out is not None:
        write_csv(found.table, out)
    if as_json:
        rows = found.table.to_dict("records")
        print_json({"scores": rows, "unit": found.unit, "share": found.share})
        return
    print_people(found.table, f"{of} at {at} under control, {found.unit}")
    if correlation is not None:
        say(
            f"With this correlation a trial of equal arms that adjusts for scores "
            f"needs {100 * found.share:.0f} % of the subjects, "
            f"{100 * (1 - found.share):.0f} % fewer than without."
        )
    if out is not None:
        say(f"{out}: written.")
    warn_of(found.quality)
