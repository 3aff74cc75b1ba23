"""Numerics of group sequential and adaptive confirmatory tests.

Takes plans, information and statistics.
Does bound, size, combine and estimate.
Gives bounds, probabilities, sizes and decisions, over replicates at once.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "GroupSequential": "vtrial.design.sequential.plan",
        "Boundaries": "vtrial.design.sequential.boundary",
        "boundaries": "vtrial.design.sequential.boundary",
        "boundaries_at": "vtrial.design.sequential.boundary",
        "Characteristics": "vtrial.design.sequential.characteristic",
        "characteristics": "vtrial.design.sequential.characteristic",
        "crossing": "vtrial.design.sequential.recursion",
        "size": "vtrial.design.sequential.sizing",
        "power": "vtrial.design.sequential.sizing",
        "Size": "vtrial.design.sequential.sizing",
        "Power": "vtrial.design.sequential.sizing",
        "Means": "vtrial.design.sequential.outcome",
        "Rates": "vtrial.design.sequential.outcome",
        "conditional_power": "vtrial.design.sequential.conditional",
        "conditional_rejection": "vtrial.design.sequential.conditional",
        "predictive_power": "vtrial.design.sequential.conditional",
        "trend": "vtrial.design.sequential.conditional",
        "repeated_interval": "vtrial.design.sequential.inference",
        "repeated_p": "vtrial.design.sequential.inference",
        "stagewise_p": "vtrial.design.sequential.inference",
        "final_estimate": "vtrial.design.sequential.inference",
        "inverse_normal": "vtrial.design.sequential.combination",
        "stage_weights": "vtrial.design.sequential.combination",
        "stage_statistics": "vtrial.design.sequential.combination",
        "fisher_product": "vtrial.design.sequential.combination",
        "fisher_design": "vtrial.design.sequential.combination",
        "dunnett_p": "vtrial.design.sequential.many_arms",
        "dunnett_critical": "vtrial.design.sequential.many_arms",
        "familywise": "vtrial.design.sequential.many_arms",
        "many_arm_bounds": "vtrial.design.sequential.many_arms",
        "closed_test": "vtrial.design.sequential.closed",
        "closed_dunnett": "vtrial.design.sequential.closed",
        "intersection_p": "vtrial.design.sequential.closed",
        "promising_zone": "vtrial.design.sequential.reestimate",
        "promising_from": "vtrial.design.sequential.reestimate",
        "trend_power": "vtrial.design.sequential.reestimate",
        "blinded_sd": "vtrial.design.sequential.reestimate",
        "blinded_size": "vtrial.design.sequential.reestimate",
        "LogRank": "vtrial.design.sequential.survival",
        "Survival": "vtrial.design.sequential.survival",
        "SurvivalSize": "vtrial.design.sequential.survival",
        "survival_size": "vtrial.design.sequential.survival",
        "survival_power": "vtrial.design.sequential.survival",
        "best_ratio": "vtrial.design.sequential.survival",
        "Hazard": "vtrial.design.sequential.hazard",
        "hazard_of": "vtrial.design.sequential.hazard",
        "dropout_of": "vtrial.design.sequential.hazard",
        "Recruitment": "vtrial.design.sequential.recruitment",
        "spend": "vtrial.design.sequential.spending",
    },
)
