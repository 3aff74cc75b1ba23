"""Sheets that are given as they are: YAML text, or what it would say as a dict."""

import json
from collections.abc import Mapping

from vtrial.errors import SheetError
from vtrial.sheets.sheet import Sheet, parse_sheet, read_sheet

Given = str | Mapping[str, object]


def given_sheet(given: object) -> Sheet | None:
    """Return the sheet that a dict or a text of several lines is; None for a name.

    Raises
    ------
    SheetError
        If it is neither, or if it holds what no sheet can.

    Examples
    --------
    >>> given_sheet({"cohort": "few"}).data, given_sheet("adults")
    ({'cohort': 'few'}, None)
    """
    if isinstance(given, str):
        return parse_sheet(given, source="") if "\n" in given.strip() else None
    if not isinstance(given, Mapping):
        return None
    try:
        text = json.dumps(given, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SheetError(
            "the sheet",
            f"a dict with what no sheet can hold ({error})",
            "made of text, finite numbers, lists and dicts",
            "",
        ) from error
    return parse_sheet(text, source="")  # JSON is YAML


def given_or_read(given: object) -> Sheet:
    """Return the sheet that is given as it is, or else stands in the file of that path.

    Raises
    ------
    SheetError
        If the file is no readable sheet, or what is given holds what no sheet can.
    """
    sheet = given_sheet(given)
    return read_sheet(str(given)) if sheet is None else sheet
