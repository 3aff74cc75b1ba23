"""A cohort that is a fit: its model is the protocol's, and no other can be."""

from dataclasses import replace

from vtrial.errors import VtrialError
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.protocol.faults import Faults
from vtrial.sheets.find import fitted_model
from vtrial.sheets.sheet import Sheet

MODEL, COHORT = "model", "cohort"


def with_fitted(sheet: Sheet) -> Sheet:
    """Put the model of a fit that is the cohort where a sheet names no model."""
    cohort = sheet.data.get(COHORT)
    if MODEL in sheet.data or not isinstance(cohort, str):
        return sheet
    path = fitted_model(cohort, beside=sheet.source)
    if path is None:
        return sheet
    return replace(sheet, data={MODEL: f"{cohort}/{path.name}", **sheet.data})


def check_fitted(model: Model | None, name: str, cohort: str, faults: Faults) -> None:
    """Refuse another model than the one that was fitted to a cohort's people."""
    path = fitted_model(cohort, beside=faults.sheet.source)
    if path is None or model is None:
        return
    try:
        own = load_model(path)
    except VtrialError as error:
        faults.relay((COHORT,), error)
        return
    if own.digest != model.digest:
        faults.add(
            (MODEL,),
            found=f"`{name}`, another model than the one of the fit {cohort}",
            allowed=f"left out or that model; the people alone, for any model, are "
            f"`cohort: {cohort}/cohort.yaml`",
            write=f"{cohort}/{path.name}",
        )
