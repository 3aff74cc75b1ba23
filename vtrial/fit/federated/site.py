"""A site: it keeps its rows, and answers with sums over its subjects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from vtrial.dosing.periods import Convention
from vtrial.errors import FitError
from vtrial.fingerprint import fingerprint
from vtrial.fit.federated.message import Question, Reply, listed_as
from vtrial.fit.federated.noise import account_of, noised, spend
from vtrial.fit.federated.privacy import Budget, check_budget
from vtrial.fit.federated.shared import Shared, check_site, wait_for
from vtrial.fit.focei import Curve, Focei, Point
from vtrial.fit.likelihood import TIGHT
from vtrial.fit.mode import MAKERS
from vtrial.fit.problem import Problem, problem_of, refuse_start
from vtrial.fit.study import Study, read_study
from vtrial.fit.sums import pairs_of, unrounded_sum
from vtrial.model.model import Model
from vtrial.model.sheet import load_model
from vtrial.types import Numerics

CURVES: Mapping[str, Curve] = {"focei": "expected", "laplace": "exact"}
MINIMUM = 5  # subjects of a sum
DAY = 86_400.0  # [s]


def engine_of_fits() -> str:
    """Name the code by which sites' numbers come about."""
    return fingerprint(*MAKERS)[:16]


@dataclass(frozen=True)
class Site:
    """A site's study and what it may tell of it.

    Fields
    ------
    name, model, study, numerics
        Whose, and of what.
    shared
        Where questions lie.
    minimum
        Subjects, below which it tells nothing.
    budget, account
        What may be told of a person, and where the site keeps account of it; exact sums
        without.
    problems, etas
        By what is fixed, and by round the modes of the subjects: what is lost with a
        process is found again.
    """

    name: str
    model: Model
    study: Study
    shared: Shared
    minimum: int = MINIMUM
    budget: Budget | None = None
    account: Path = Path()
    numerics: Numerics = TIGHT
    problems: dict[tuple[str, ...], Problem] = field(default_factory=dict)
    etas: dict[int, np.ndarray] = field(default_factory=dict)

    def reply(self, question: Question) -> Reply:
        """Return sums at a vector.

        Raises
        ------
        FitError
            If the question is not one that this site answers.
        """
        if problem := self._refused(question):
            raise FitError(f"site {self.name}", *problem, "")
        if question.round == 1:
            refuse_start(self._problem(question), np.array(question.vector))
        point = self._point(question)
        about = (self.name, question.round, question.digest)
        count = (self.study.subjects, self.study.observations)
        if question.sigma:
            assert self.budget is not None  # or the question is refused
            secret = spend(self.account, question, self.budget)
            gradient = noised(point.slopes, question, secret)
            return Reply(*about, *count, gradient=listed_as(gradient[None]))
        if not (np.isfinite(point.objective) and np.isfinite(point.slopes).all()):
            return Reply(*about, *count)
        every = (point.parts, point.slopes, pairs_of(point.slopes))
        return Reply(*about, *count, *(listed_as(unrounded_sum(one)) for one in every))

    def _refused(self, question: Question) -> tuple[str, str] | None:
        """Return why a question is not answered: what it is, what it may be."""
        if self.study.subjects < self.minimum:
            return "of too few subjects", f"of {self.minimum} at least"
        if question.engine != engine_of_fits():
            return "of another version of vtrial", "of the coordinator's version"
        if question.model != self.model.digest:
            return "of another model sheet", "of the very sheet of the coordinator"
        if question.method not in CURVES:
            return f"asked for {question.method}", "asked for " + " or ".join(CURVES)
        if bool(question.sigma) != (self.budget is not None):
            asked = "with noise" if question.sigma else "without noise"
            mine = "without an epsilon" if question.sigma else "with an epsilon"
            allowed = "given --epsilon and --delta, or not, as the coordinator is"
            return f"{mine}, and asked {asked}", allowed
        return None

    def _problem(self, question: Question) -> Problem:
        """Return what is asked of the study; it is the same in every round."""
        fixed = question.fixed
        if fixed not in self.problems:
            self.problems[fixed] = problem_of(
                self.model, self.study, fixed=fixed, numerics=self.numerics
            )
        return self.problems[fixed]

    def _point(self, question: Question) -> Point:
        """Return the objective at a vector, by modes as the pooled fit has them."""
        vector = np.array(question.vector, float)
        focei = Focei(*self._problem(question), curve=CURVES[question.method])
        point = focei.at(vector, self._start(question.start))
        self.etas[question.round] = point.modes.eta
        return point

    def _start(self, number: int) -> Float[np.ndarray, "subject effect"] | None:
        """Return the modes of a round; a site that was gone finds them again."""
        if number and number not in self.etas:
            earlier = self.shared.question(number)
            if earlier is None:
                at, found = f"round {number}", "not in the shared folder any more"
                raise FitError(at, found, "there until the fit has ended", "")
            self._point(earlier)
        return self.etas.get(number)


def serve_site(
    model: str | Path | Model,
    data: str | Path,
    *,
    shared: str | Path,
    name: str,
    minimum: int = MINIMUM,
    budget: Budget | None = None,
    outputs: Mapping[str, str] | None = None,
    column: str = "DVID",
    covariates: Convention = "backward",
    patience: float = DAY,
    numerics: Numerics = TIGHT,
    said: Callable[[str], None] | None = None,
) -> int:
    """Answer a coordinator's questions until the fit has ended; return how many.

    Parameters
    ----------
    model
        The sheet that the coordinator has, too.
    data
        The site's own table; see `read_study`, also on `outputs` and `column`.
    shared
        The folder of questions and replies. Nothing else is written there.
    name
        Of the site, as the coordinator knows it.
    minimum
        Subjects, below which nothing is told.
    budget
        What may be told of a person; each sum then has noise. Exact sums without.
    patience
        [s] How long to wait for a question.
    said
        Is told what is done.

    Raises
    ------
    FitError
        If the coordinator asks what this site does not answer, or nothing any more.
    VtrialError
        If the table or the model is at fault.
    """
    check_site(name)
    if budget is not None:
        check_budget(budget)
    place = Shared(Path(shared))
    place.withdraw(name)
    loaded = model if isinstance(model, Model) else load_model(model)
    study = read_study(
        loaded, data, outputs=outputs, column=column, convention=covariates
    )
    site = Site(
        name=name,
        model=loaded,
        study=study,
        shared=place,
        minimum=minimum,
        budget=budget,
        account=account_of(Path(data), name),
        numerics=numerics,
    )
    return _served(site, patience, said)


def _served(site: Site, patience: float, said: Callable[[str], None] | None) -> int:
    """Answer one question after another."""
    count, shared = 0, site.shared

    def ready() -> bool:
        return shared.ended or shared.next_question(site.name) is not None

    while True:
        wait_for(ready, "a question", patience=patience, said=said)
        question = shared.next_question(site.name)
        if question is None:
            return count
        try:
            reply = site.reply(question)
        except FitError as error:
            # The coordinator is told that, and nothing of anybody.
            fault = error.faults[0]
            own = fault.at in (f"site {site.name}", "epsilon that is spent")
            told = (
                f"{fault.found}; it must be {fault.allowed}"
                if own
                else "unable to; its own words say why"
            )
            shared.tell(Reply(site.name, question.round, question.digest, refused=told))
            raise
        shared.tell(reply)
        count += 1
        if said is not None:
            said(f"round {question.round} answered")
