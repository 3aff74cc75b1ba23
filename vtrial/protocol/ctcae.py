"""Grades of adverse events by laboratory values.

Limits from grade 1 on: falling ones are passed from above. The lower limit of normal,
at which grade 1 begins, differs between laboratories; a usual one stands here.

References
----------
NCI (2017) Common Terminology Criteria for Adverse Events, version 5.0.
"""

GRADES: dict[str, tuple[str, tuple[float, ...]]] = {
    "neutrophils": ("1e9/L", (2.0, 1.5, 1.0, 0.5)),
    "leukocytes": ("1e9/L", (4.0, 3.0, 2.0, 1.0)),
    "lymphocytes": ("1e9/L", (1.0, 0.8, 0.5, 0.2)),
    "platelets": ("1e9/L", (150.0, 75.0, 50.0, 25.0)),
    "haemoglobin": ("g/L", (120.0, 100.0, 80.0)),
}
