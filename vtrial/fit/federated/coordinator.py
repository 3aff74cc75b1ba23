"""The coordinator: it searches as the pooled fit does, and sees sums alone."""

import functools
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vtrial.errors import Fault, FitError
from vtrial.fit.calibration import natural_of
from vtrial.fit.federated.descent import Descent, descend
from vtrial.fit.federated.fit import FederatedFit, Noise, Size
from vtrial.fit.federated.message import Question, Reply
from vtrial.fit.federated.privacy import Budget, check_budget, epsilon_of, mu_of
from vtrial.fit.federated.shared import Shared, check_site, wait_for
from vtrial.fit.federated.site import CURVES, DAY, engine_of_fits
from vtrial.fit.folder import refuse_folder
from vtrial.fit.methods.focei import WORDS
from vtrial.fit.minimum import Tell, minimise
from vtrial.fit.parameters import layout_of
from vtrial.fit.start import start_of
from vtrial.fit.sums import exact_sum
from vtrial.fit.uncertainty import By, condition_of, covariance_of, curvature
from vtrial.fit.values import values_of
from vtrial.model.model import Model
from vtrial.model.sheet import load_model


class Total(NamedTuple):
    """Sums over the subjects of all sites at a vector, as `minimise` takes them.

    Fields
    ------
    objective, gradient, products
        As replies have them; infinite and NaN where somebody has no likelihood, and
        NaN where noise leaves them out.
    round
        Of the question.
    """

    objective: float
    gradient: Float[np.ndarray, " estimate"]
    products: Float[np.ndarray, "estimate estimate"]
    round: int


@dataclass
class Coordinator:
    """Asks sites in rounds.

    What it finds in the folder it does not ask again: one that was killed goes the same
    way over the replies that are there, and on from the last.

    Fields
    ------
    shared, sites
        Where, and whom.
    asked
        The question of the round, but for its number, vector and start.
    patience, said
        [s] How long to wait for a site, and who is told of it.
    round, sizes
        How many rounds there were, and how much each site told of.
    """

    shared: Shared
    sites: Sequence[str]
    asked: Callable[..., Question]
    patience: float
    said: Callable[[str], None] | None
    round: int = 0
    sizes: dict[str, Size] = field(default_factory=dict)

    def at(
        self, vector: Float[np.ndarray, " estimate"], before: Total | None = None
    ) -> Total:
        """Return the sums at a vector, modes searched from those of `before`."""
        self.round += 1
        start = 0 if before is None else before.round
        entries = tuple(np.asarray(vector, float).tolist())
        question = self.asked(round=self.round, vector=entries, start=start)
        self.shared.ask(question)
        return self._total(question, [self._reply(one, question) for one in self.sites])

    def _reply(self, site: str, question: Question) -> Reply:
        """Wait for a site."""
        shared, number = self.shared, question.round
        wait_for(
            lambda: shared.reply(site, number) is not None,
            f"site {site}, round {number}",
            patience=self.patience,
            said=self.said,
        )
        reply = shared.reply(site, number)
        assert reply is not None  # it was waited for
        if reply.refused:
            allowed = "an answer: start the site again, then the same command here"
            found = f"a refusal ({reply.refused})"
            raise FitError(f"site {site}", found, allowed, "")
        if reply.question != question.digest:
            found = f"of another question than that of round {number}"
            raise FitError(f"the reply of {site}", found, "of this fit", "")
        self.sizes[site] = Size(reply.subjects, reply.observations)
        return reply

    def _total(self, question: Question, replies: Sequence[Reply]) -> Total:
        """Add what sites told as if it were one sum, in no order."""
        size = len(question.vector)
        none = np.full((size, size), np.nan)
        if not all(reply.gradient for reply in replies):
            return Total(np.inf, none[0], none, question.round)
        gradient = exact_sum(np.concatenate([reply.gradient for reply in replies]))
        if question.sigma:
            return Total(np.nan, gradient, none, question.round)
        objective = exact_sum(np.concatenate([reply.objective for reply in replies]))
        products = exact_sum(np.concatenate([reply.products for reply in replies]))
        return Total(float(objective), gradient, products, question.round)


class Found(NamedTuple):
    """Where a search ended."""

    vector: Float[np.ndarray, " estimate"]
    covariance: Float[np.ndarray, "estimate estimate"]
    objective: float
    course: tuple[float, ...]
    converged: bool


def federate(
    model: str | Path | Model,
    *,
    shared: str | Path,
    sites: Sequence[str],
    into: str | Path | None = None,
    method: str = "focei",
    start: str | Path | None = None,
    fixed: Collection[str] = (),
    covariance: By = "sandwich",
    most: int = 200,
    budget: Budget | None = None,
    descent: Descent | None = None,
    patience: float = DAY,
    tell: Tell | None = None,
    said: Callable[[str], None] | None = None,
) -> FederatedFit:
    """Fit a model to the studies of sites that keep their rows.

    Parameters
    ----------
    model, into, start, fixed, covariance, most, tell
        As in `vtrial.calibrate`; the folder has no tables of subjects.
    shared
        A folder that the sites reach, too: a new one for each fit.
    sites
        Their names; each runs `serve_site` with the same model.
    method
        `focei` or `laplace`.
    budget
        What may be told of any person in all; every sum then has noise.
    descent
        How to go down with noise.
    patience
        [s] How long to wait for a site in a round.
    said
        Is told whom one waits for.

    Raises
    ------
    FitError
        If a site refuses, or does not answer; the same command goes on from there.
    VtrialError
        If model, sites and what is fixed do not go together.
    """
    begun = time.perf_counter()
    loaded = model if isinstance(model, Model) else load_model(model)
    _refuse(sites, method, budget)
    if into is not None:
        refuse_folder(Path(into))
    layout, base = layout_of(loaded, fixed=fixed), values_of(loaded)
    vector = layout.vector(base)
    if start is not None:
        vector = start_of(Path(start), loaded, layout)
    how = descent or Descent()
    sigma = 0.0 if budget is None else how.rounds**0.5 / mu_of(budget)
    asked = _question(loaded, method, fixed, how.clip, sigma)
    one = Coordinator(Shared(Path(shared)), tuple(sites), asked, patience, said)
    if budget is None:
        found, noise = _searched(one, vector, covariance, most=most, tell=tell), None
    else:
        found = _descended(one, vector, how, tell)
        spent = epsilon_of(how.rounds**0.5 / sigma, budget.delta)
        noise = Noise(how.clip, sigma, spent, budget.delta)
    own, errors, low, high = natural_of(layout, base, found.vector, found.covariance)
    fit = FederatedFit(
        model=loaded,
        method=method,
        layout=layout,
        **found._asdict(),
        estimates=own,
        errors=errors,
        low=low,
        high=high,
        values=layout.values(found.vector, base),
        error=0.0,
        likelihood=WORDS[CURVES[method]],
        shrinkage={},
        condition=condition_of(found.covariance),
        covariance_by="none" if noise else covariance,
        seconds=time.perf_counter() - begun,
        sites=one.sizes,
        rounds=one.round,
        noise=noise,
    )
    if into is not None:
        fit.write(Path(into))
    one.shared.end(one.round)
    return fit


def _question(
    model: Model, method: str, fixed: Collection[str], clip: float, sigma: float
) -> Callable[..., Question]:
    """Return the question of any round, but for what differs between rounds."""
    return functools.partial(
        Question,
        model=model.digest,
        engine=engine_of_fits(),
        method=method,
        fixed=tuple(sorted(fixed)),
        clip=clip if sigma else 0.0,
        sigma=sigma,
    )


def _refuse(sites: Sequence[str], method: str, budget: Budget | None) -> None:
    """Refuse what cannot be asked, before anybody is."""
    for site in sites:
        check_site(site)
    faults = []
    if len(sites) < 2 or len(set(sites)) < len(sites):
        found = ", ".join(sites) or "none"
        allowed = "two or more, each of another name"
        faults.append(Fault("sites", found, allowed, ""))
    if method not in CURVES:
        allowed = " or ".join(CURVES) + ": sums over subjects, and nothing drawn"
        faults.append(Fault("method", method, allowed, ""))
    if faults:
        raise FitError.of(faults)
    if budget is not None:
        check_budget(budget)


def _searched(
    one: Coordinator,
    vector: np.ndarray,
    covariance: By,
    *,
    most: int,
    tell: Tell | None,
) -> Found:
    """Search by exact sums, and ask around the minimum for its curvature."""
    best = minimise(one.at, vector, most=most, tell=tell)
    curved = curvature(one.at, best)
    return Found(
        vector=best.vector,
        covariance=covariance_of(curved, best.point.products, covariance),
        objective=float(best.point.objective),
        course=best.course,
        converged=best.converged,
    )


def _descended(
    one: Coordinator, vector: np.ndarray, how: Descent, tell: Tell | None
) -> Found:
    """Go down by sums with noise, as often as the budget is for."""

    def mean(at: np.ndarray) -> np.ndarray:
        gradient = one.at(at).gradient
        if tell is not None:
            tell(one.round, np.nan, np.nan)
        return gradient / sum(size.subjects for size in one.sizes.values())

    found = descend(mean, vector, how)
    none = np.full((len(vector), len(vector)), np.nan)
    return Found(found, none, np.nan, (), converged=False)
