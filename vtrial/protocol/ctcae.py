"""Grades of adverse events by laboratory values.

Limits from grade 1 on, by the unit that they are in: falling ones are passed from
above, rising ones from below. `ULN` is the laboratory's upper limit of normal. Where
grade 1 begins at a limit of normal, a usual one stands here, which a sheet may replace.

Nobody's symptoms are known: where they raise a grade (hypokalaemia of 3.0 to the lower
limit, hyponatraemia of 125 to 129 mmol/L), it is the grade without them, and a limit
stands twice where a grade has no numbers of its own. Grades of enzymes and bilirubin
are those of somebody whose baseline is normal. Hyperglycaemia and hypophosphataemia
have no numbers in version 5.0.

References
----------
NCI (2017) Common Terminology Criteria for Adverse Events, version 5.0.
"""

from collections.abc import Mapping

ULN = "ULN"
Limits = Mapping[str, tuple[float, ...]]

GRADES: Mapping[str, Limits] = {
    "neutrophils": {"1e9/L": (2.0, 1.5, 1.0, 0.5)},
    "leukocytes": {"1e9/L": (4.0, 3.0, 2.0, 1.0)},
    "lymphocytes": {"1e9/L": (1.0, 0.8, 0.5, 0.2)},
    "platelets": {"1e9/L": (150.0, 75.0, 50.0, 25.0)},
    "haemoglobin": {"g/L": (120.0, 100.0, 80.0)},
    "hypoalbuminaemia": {"g/L": (35.0, 30.0, 20.0)},
    "hypocalcaemia": {
        "mmol/L": (2.1, 2.0, 1.75, 1.5),
        "mg/dL": (8.5, 8.0, 7.0, 6.0),
    },
    "hypercalcaemia": {
        "mmol/L": (2.6, 2.9, 3.1, 3.4),
        "mg/dL": (10.5, 11.5, 12.5, 13.5),
    },
    "hypoglycaemia": {
        "mmol/L": (3.9, 3.0, 2.2, 1.7),
        "mg/dL": (70.0, 55.0, 40.0, 30.0),
    },
    "hypokalaemia": {"mmol/L": (3.5, 3.0, 3.0, 2.5)},
    "hyperkalaemia": {"mmol/L": (5.0, 5.5, 6.0, 7.0)},
    "hypomagnesaemia": {
        "mmol/L": (0.7, 0.5, 0.4, 0.3),
        "mg/dL": (1.7, 1.2, 0.9, 0.7),
    },
    "hypermagnesaemia": {
        "mmol/L": (1.0, 1.23, 1.23, 3.3),
        "mg/dL": (2.4, 3.0, 3.0, 8.0),
    },
    "hyponatraemia": {"mmol/L": (135.0, 130.0, 125.0, 120.0)},
    "hypernatraemia": {"mmol/L": (145.0, 150.0, 155.0, 160.0)},
    "cholesterol": {
        "mmol/L": (5.18, 7.75, 10.34, 12.92),
        "mg/dL": (200.0, 300.0, 400.0, 500.0),
    },
    "hypertriglyceridaemia": {
        "mmol/L": (1.71, 3.42, 5.7, 11.4),
        "mg/dL": (150.0, 300.0, 500.0, 1000.0),
    },
    "INR": {"1": (1.2, 1.5, 2.5)},
    "ALT": {ULN: (1.0, 3.0, 5.0, 20.0)},
    "AST": {ULN: (1.0, 3.0, 5.0, 20.0)},
    "ALP": {ULN: (1.0, 2.5, 5.0, 20.0)},
    "GGT": {ULN: (1.0, 2.5, 5.0, 20.0)},
    "CPK": {ULN: (1.0, 2.5, 5.0, 10.0)},
    "bilirubin": {ULN: (1.0, 1.5, 3.0, 10.0)},
    "creatinine": {ULN: (1.0, 1.5, 3.0, 6.0)},
    "aPTT": {ULN: (1.0, 1.5, 2.5)},
}
FIXED = (
    "hypertriglyceridaemia",
    "INR",
)  # grade 1 begins at the number that stands here
