"""The command of sampling designs: when to measure, and at which dose."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import vtrial as vt
from vtrial.cli.say import print_json, print_table, say, write_csv

samplings = typer.Typer()


@samplings.command(
    epilog="Example: `vtrial sampling one-compartment-oral --dose '100 mg' --times "
    "'1 h, 4 h, 12 h, 24 h' --subjects 24 --among '0.5 h to 24 h every 30 min'`"
)
def sampling(
    model: Annotated[str, typer.Argument(help="A model sheet or library name.")],
    design: Annotated[
        Path | None, typer.Option(help="A sheet of groups, times and candidates.")
    ] = None,
    dose: Annotated[
        list[str] | None,
        typer.Option(help="Instead: dosing words; several are chosen from."),
    ] = None,
    times: Annotated[str, typer.Option(help="Instead: when it is measured.")] = "",
    subjects: Annotated[int | None, typer.Option(help="Instead: how many; 1.")] = None,
    among: Annotated[str, typer.Option(help="Times that may be chosen.")] = "",
    window: Annotated[str, typer.Option(help="How far off them one is.")] = "",
    criterion: Annotated[
        Literal["determinant", "gain"],
        typer.Option(help="Of the information at the model's values, or the gain."),
    ] = "determinant",
    about: Annotated[
        Literal["population", "person"],
        typer.Option(help="By the gain: of whom it is to tell."),
    ] = "population",
    draws: Annotated[int, typer.Option(min=2, help="By the gain, of the prior.")] = 64,
    nested: Annotated[
        int, typer.Option(min=0, help="By the gain: studies of nested Monte Carlo.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="By the gain: of the draws.")] = 0,
    table: Annotated[Path | None, typer.Option(help="The parameters as CSV.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw it: SVG or PNG.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for scripts.")
    ] = False,
) -> None:
    """Say how well a study will know its parameters, and when it is best to measure."""
    words = {"dose": dose, "times": times, "subjects": subjects, "among": among}
    words["window"] = window
    loaded = vt.load_model(model)
    found = vt.optimise.plan_sampling(
        loaded,
        _sheet(design, words),
        criterion=criterion,
        about=about,
        draws=draws,
        nested=nested,
        seed=seed,
    )
    if table is not None:
        write_csv(found.table, table)
    if figure is not None:
        units = {output.name: output.unit for output in loaded.outputs}
        vt.report.draw("sampling", figure, found.course, found.table, units=units)
    if as_json:
        print_json(found.as_data())
        return
    _print(found)
    for path in (table, figure):
        if path is not None:
            say(f"{path}: written.")


def _sheet(design: Path | None, words: dict[str, Any]) -> str | dict[str, Any]:
    """Return the sheet that is named, or the one that the options write."""
    given = [f"--{name}" for name, value in words.items() if value]
    if design is not None:
        if given:
            what = "given beside --design"
            raise vt.VtrialError(given[0], what, "a part of the sheet", "")
        return str(design)
    if not words["times"]:
        what = "without --times, and without --design"
        write = '--dose "100 mg" --times "1 h, 4 h, 24 h" --subjects 24'
        raise vt.VtrialError("sampling", what, "told when it is measured", write)
    doses = list(words["dose"] or [""])
    group = {"dose": doses[0], "times": words["times"]}
    group["subjects"] = 1 if words["subjects"] is None else words["subjects"]
    sheet = {"sampling": "asked", "groups": {"all": group}, "doses": doses[1:]}
    return sheet | {name: words[name] for name in ("among", "window") if words[name]}


def _print(found: Any) -> None:
    """Print a plan in words."""
    groups = found.groups.copy()
    groups["times"] = [", ".join(f"{t:g}" for t in one) for one in groups["times"]]
    print_table(groups.rename(columns={"times": "times [h]"}), title="Groups")
    by_gain = found.gain is not None
    title = "Left of the prior's SD [%]" if by_gain else "Relative standard errors [%]"
    print_table(found.table, title=title)
    for design, score in found.score.items():
        unit = " nats" if by_gain else ""
        what = "expected gain" if by_gain else "log determinant"
        say(f"{design}: {what} {score:.4g}{unit}")
    if not math.isnan(found.efficiency):
        share, more = 100 * found.efficiency, 1 / found.efficiency
        say(
            f"Efficiency of the design given: {share:.1f} %. It needs {more:.2f} times "
            "the subjects to tell as much."
        )
    if not math.isnan(found.windowed):
        share = 100 * found.windowed
        say(f"Measured anywhere in the windows about its times: {share:.1f} % of that.")
    if by_gain:
        gain = found.gain
        say(f"Monte Carlo error of the gain: {gain.error:.2g} nats (by Laplace).")
        if not math.isnan(gain.low):
            say(
                f"By nested Monte Carlo, of the last: from {gain.low:.4g} (too low in "
                f"the mean) to {gain.high:.4g} (too high) nats, error "
                f"{gain.nested_error:.2g}."
            )
