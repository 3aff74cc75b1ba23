r"""Relations of covariates to parameters, as words and as parts of a model's sheet.

`CL~WT` multiplies CL by $(WT / \tilde{WT})^\theta$, with the median of the subjects; by
$e^{\theta (X - \tilde X)}$ where a covariate is not above 0 in all, and a category by
$e^\theta$ in each value but the most frequent. $\theta = 0$ is no relation.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vtrial.errors import Fault, FitError
from vtrial.fit.fitted_sheet import data_of
from vtrial.fit.study import Study
from vtrial.fit.values import Values
from vtrial.model.model import Model
from vtrial.model.sheet import load_model

Form = Literal["power", "exponential", "category"]
MOST_CODES = 5  # values of a covariate that is a category without saying so
RELATED = "into which relations can be written"
_PAIR = re.compile(r"\s*([A-Za-z]\w*)\s*~\s*([A-Za-z]\w*)\s*")


@dataclass(frozen=True)
class Relation:
    """How a covariate changes a parameter.

    Fields
    ------
    centre
        Where it does not: the median, or the most frequent value.
    codes
        Of a category, the other values.
    names
        Of the coefficients: one, or one a code.
    """

    parameter: str
    covariate: str
    form: Form
    centre: float
    codes: tuple[float, ...]
    names: tuple[str, ...]

    @property
    def words(self) -> str:
        """The relation as it is asked for."""
        return f"{self.parameter}~{self.covariate}"

    @property
    def factor(self) -> str:
        """What the parameter is multiplied by, in the language of equations."""
        if self.form == "power":
            return f"({self.covariate}/{self.centre!r})^{self.names[0]}"
        if self.form == "exponential":
            return f"exp({self.names[0]}*({self.covariate} - ({self.centre!r})))"
        parts = zip(self.names, self.codes, strict=True)
        said = [f"{name}*({self.covariate} == ({code!r}))" for name, code in parts]
        return f"exp({' + '.join(said)})"

    def along(self, value: float) -> dict[str, float]:
        """Return by what each coefficient counts in the log-ratio at a value."""
        if self.form == "power":
            return {self.names[0]: float(np.log(value / self.centre))}
        if self.form == "exponential":
            return {self.names[0]: value - self.centre}
        return {
            name: 1.0
            for name, code in zip(self.names, self.codes, strict=True)
            if code == value
        }


def pairs_in(text: str) -> list[tuple[str, str]]:
    """Read relations: `CL~WT, V~WT`.

    Examples
    --------
    >>> pairs_in("CL~WT, V~SEX")
    [('CL', 'WT'), ('V', 'SEX')]
    """
    found, faults = [], []
    for part in text.split(","):
        match = _PAIR.fullmatch(part)
        if match:
            found.append((match[1], match[2]))
        else:
            allowed = "parameter~covariate, several parted by commas"
            faults.append(Fault("relations", f"`{part.strip()}`", allowed, "CL~WT"))
    if faults:
        raise FitError.of(faults)
    return list(dict.fromkeys(found))


def with_covariates(model: Model, names: Sequence[str]) -> Model:
    """Return the model with covariates that its sheet has not named so far."""
    known = [covariate.name for covariate in model.covariates]
    missing = [name for name in dict.fromkeys(names) if name not in known]
    if not missing:
        return model
    data = data_of(model, RELATED)
    held = data.setdefault("covariates", {}) or {}
    data["covariates"] = {**held, **{name: {} for name in missing}}
    return load_model(data)


def relations_of(
    model: Model, study: Study, pairs: Sequence[tuple[str, str]]
) -> list[Relation]:
    """Choose the form of each relation by what the covariate is among the subjects.

    Raises
    ------
    FitError
        If a covariate does not differ between subjects.
    """
    found, faults = [], []
    codes = {c.name: c.values for c in model.covariates}
    for parameter, covariate in pairs:
        values = baseline(study, covariate)
        each, counts = np.unique(values, return_counts=True)
        if len(each) < 2:
            allowed = "different between subjects"
            known = f"{each[0]:g} in every subject"
            faults.append(Fault(f"covariate {covariate}", known, allowed, ""))
            continue
        name = f"{parameter}_{covariate}"
        if codes[covariate] or len(each) <= MOST_CODES:
            centre = float(each[np.argmax(counts)])
            others = tuple(float(one) for one in each if one != centre)
            names = tuple(f"{name}_{_said(one)}" for one in others)
            form: Form = "category"
        else:
            centre, others, names = float(np.median(values)), (), (name,)
            form = "power" if each[0] > 0 else "exponential"
        found.append(Relation(parameter, covariate, form, centre, others, names))
    if faults:
        raise FitError.of(faults)
    return found


def _said(code: float) -> str:
    """Write a code as a part of a name."""
    return f"{code:g}".replace(".", "p").replace("-", "m").replace("+", "")


def baseline(study: Study, covariate: str) -> np.ndarray:
    """Return what a covariate is of each subject at its first record."""
    held = study.data.covariates
    values = held.get(covariate, held.get(f"{covariate}|record"))
    assert values is not None  # the study was read for it
    return np.broadcast_to(np.asarray(values)[:, 0], (study.subjects,))


def with_relations(model: Model, relations: Sequence[Relation]) -> Model:
    """Return the model in which covariates change parameters, coefficients at 0.

    Raises
    ------
    FitError
        If a parameter is not one line of the equations, or a name is taken.
    """
    data = data_of(model, RELATED)
    lines = str(data["equations"]).splitlines()
    faults = []
    names = {*model.inputs, *(p.name for p in model.parameters)}
    for relation in relations:
        fault = _multiply(lines, relation)
        faults += [fault] if fault else []
        for name in relation.names:
            if name in names:
                allowed = "free for the coefficient of a relation; rename it"
                faults.append(Fault(f"parameter {name}", "there already", allowed, ""))
    if faults:
        raise FitError.of(dict.fromkeys(faults))
    data["equations"] = "\n".join(lines) + "\n"
    fresh = {
        name: {"value": 0.0, "scale": "identity"} for r in relations for name in r.names
    }
    data["parameters"] = {**(data.get("parameters") or {}), **fresh}
    return load_model(data)


def _multiply(lines: list[str], relation: Relation) -> Fault | None:
    """Multiply the line that says a parameter; or say what stands in the way."""
    head = re.compile(rf"(\s*{re.escape(relation.parameter)}\s*=)([^=#].*?)(\s*#.*)?")
    places = [i for i, line in enumerate(lines) if head.fullmatch(line)]
    whole = [i for i in places if lines[i].count("(") == lines[i].count(")")]
    if len(whole) != 1:
        found = f"on {len(places)} lines" if places else "no equation"
        if places and not whole:
            found = "an equation of several lines"
        allowed = "one line of the equations, `CL = ...`, that covariates multiply"
        return Fault(f"parameter {relation.parameter}", found, allowed, "")
    match = head.fullmatch(lines[whole[0]])
    assert match is not None  # it was found above
    said = f"{match[1]} ({match[2].strip()}) * {relation.factor}{match[3] or ''}"
    lines[whole[0]] = said
    return None


def with_values(model: Model, values: Values) -> Model:
    """Return the model with other numbers, from which a search may start."""
    typical = {name: float(value) for name, value in values.typical.items()}
    blocks = []
    for block, own in zip(model.random, values.covariances, strict=True):
        rows = tuple(tuple(float(one) for one in row) for row in np.asarray(own))
        blocks.append(replace(block, covariance=rows))
    outputs = []
    for output in model.outputs:
        sizes = values.sizes.get(output.name, {})
        error = replace(output.error, **{k: float(v) for k, v in sizes.items()})
        outputs.append(replace(output, error=error))
    return replace(
        model,
        parameters=tuple(replace(p, value=typical[p.name]) for p in model.parameters),
        random=tuple(blocks),
        outputs=tuple(outputs),
    )
