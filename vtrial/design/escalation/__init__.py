"""Dose escalation: which dose the next cohort gets, and which one is chosen at the end.

Takes a method and what each subject would show at every dose.
Does enact thousands of escalation trials at once, or work out all that can happen.
Gives the doses given, the toxicities seen, the dose selected.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "characteristics": "vtrial.design.escalation.characteristic",
        "crm_update": "vtrial.design.escalation.reassessment",
        "enact_escalation": "vtrial.design.escalation.enact",
        "enact_late_toxicity": "vtrial.design.escalation.late",
        "escalation_method": "vtrial.design.escalation.method",
        "exact_escalation": "vtrial.design.escalation.exact",
        "exact_three_plus_three": "vtrial.design.escalation.exact",
        "methods": "vtrial.design.escalation.registry",
        "next_dose": "vtrial.design.escalation.step",
        "select_dose": "vtrial.design.escalation.step",
        "skeleton": "vtrial.design.escalation.reassessment",
        "toxicity_of": "vtrial.design.escalation.tolerance",
    },
)
