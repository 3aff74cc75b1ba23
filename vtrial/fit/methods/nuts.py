"""By draws from the posterior distribution: the no-U-turn sampler."""

import math

import jax

from vtrial.fit.method import Answer, How, Method
from vtrial.fit.problem import Problem
from vtrial.keys import purpose_key


def _estimate(problem: Problem, how: How) -> Answer:
    """Draw chains; what is kept of them on the way lies beside the fit's folder."""
    from vtrial.fit import posterior
    from vtrial.fit.chain import Plan, drawn

    given, vector, errors = posterior.begun(problem, how)
    key = purpose_key(jax.random.key(how.seed), "nuts")
    first, second = jax.random.split(key)
    options, layout = how.options, problem.layout
    subjects, effects = given.reference.pull.shape
    shape = (options["chains"], subjects, effects)

    def tell(steps: int) -> None:
        if how.tell is not None:
            how.tell(steps, math.nan, math.nan)

    found = drawn(
        problem.likelihood,
        layout,
        given,
        plan=Plan(options["warmup"]),
        key=first,
        positions=posterior.scattered(second, layout, vector, errors, shape),
        draws=options["draws"],
        folder=how.beside,
        digest=posterior.digest_of(problem, how) if how.beside else "",
        tell=tell,
    )
    told = posterior.agreement(found.vector, layout.names)
    told |= {"divergences": int(found.diverging.sum())}
    told |= {"steps_a_draw": float(found.steps.mean())}
    more = {"diverging": found.diverging.astype(int), "steps": found.steps}
    more = {name: column.ravel() for name, column in more.items()}
    return posterior.answered(
        problem, how, found.vector, more=more, told=told, by="draws"
    )


KINDS = (
    Method(
        word="nuts",
        place=50,
        says="draws from the posterior distribution by NumPyro's no-U-turn sampler, "
        "of the whole hierarchical model",
        estimate=_estimate,
        options={"draws": 500, "warmup": 500, "chains": 4},
        by=False,
    ),
)
