"""Borrowing: what earlier trials, or other subgroups, say of this one.

Takes what historical arms showed, or what each subgroup shows.
Does pool it by how alike they are, fit it by conjugates, update it, weigh it.
Gives priors as mixtures, their worth in subjects, and posterior probabilities.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "Mixture": "vtrial.design.borrowing.mixture",
        "beta_mixture": "vtrial.design.borrowing.mixture",
        "normal_mixture": "vtrial.design.borrowing.mixture",
        "robust": "vtrial.design.borrowing.mixture",
        "with_mean": "vtrial.design.borrowing.mixture",
        "with_responses": "vtrial.design.borrowing.mixture",
        "probability_beyond": "vtrial.design.borrowing.contrast",
        "contrast_moments": "vtrial.design.borrowing.contrast",
        "Predicted": "vtrial.design.borrowing.predict",
        "predict_mean": "vtrial.design.borrowing.predict",
        "predict_rate": "vtrial.design.borrowing.predict",
        "Fitted": "vtrial.design.borrowing.conjugate",
        "fit_mixture": "vtrial.design.borrowing.conjugate",
        "power_prior_of_mean": "vtrial.design.borrowing.weighted",
        "power_prior_of_rate": "vtrial.design.borrowing.weighted",
        "effective_size": "vtrial.design.borrowing.worth",
        "Shared": "vtrial.design.borrowing.basket",
        "exchange": "vtrial.design.borrowing.basket",
    },
)
