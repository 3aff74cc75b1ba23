"""Dose-response: is there one, which shape has it, and which dose is enough.

Takes estimates at doses, of many trials, with their covariance, and candidate shapes.
Does test them by contrasts, fit curves, choose or average them (MCP-Mod).
Gives statistics, adjusted p-values, curves and target doses.
"""

from vtrial.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "candidate": "vtrial.measure.dose_response.shape",
        "critical_value": "vtrial.measure.dose_response.maximum",
        "fit_shape": "vtrial.measure.dose_response.fit",
        "mcp_mod": "vtrial.measure.dose_response.procedure",
        "multiple_contrast_test": "vtrial.measure.dose_response.contrast",
        "optimal_contrasts": "vtrial.measure.dose_response.contrast",
        "shapes": "vtrial.measure.dose_response.registry",
        "tail_of_maximum": "vtrial.measure.dose_response.maximum",
    },
)
