"""What a model asks and a cohort lacks is told before anybody is drawn."""

from vtrial.cohort.check import check_cohort
from vtrial.cohort.sheet import cohort_of, load_cohort
from vtrial.model.grammar import parse_model
from vtrial.model.model import Covariate, Model, Parameter
from vtrial.sheets.sheet import parse_sheet


def model(*covariates, parameters=()):
    return Model(
        name="m",
        statements=parse_model("x = 1"),
        covariates=covariates,
        parameters=parameters,
    )


def test_nothing_is_said_of_a_pair_that_fits():
    asks = (Covariate("WT", "g"), Covariate("FEMALE", values=(0.0, 1.0)))
    assert check_cohort(load_cohort("adults"), model(*asks)) == []


def test_a_missing_covariate_names_the_nearest():
    asks = Covariate("WGT", "kg", typical=70.0)
    (fault,) = check_cohort(load_cohort("adults"), model(asks))
    assert fault.at == "covariates.WGT of cohort `adults`"
    assert fault.found == "missing (`WT` is there)"
    assert "`WGT: {unit: kg, constant: 70}`" in fault.allowed


def test_a_unit_of_another_dimension():
    (fault,) = check_cohort(load_cohort("adults"), model(Covariate("WT", "cm")))
    assert (fault.found, fault.write) == ("in `kg`", "")
    assert "converts to `cm`" in fault.allowed


def test_values_that_a_category_does_not_have():
    adults = load_cohort("adults")
    asks = Covariate("FEMALE", values=(1.0, 2.0))
    (fault,) = check_cohort(adults, model(asks))
    assert fault.found == "0"
    (fault,) = check_cohort(adults, model(Covariate("AGE", "a", values=(0.0, 1.0))))
    assert fault.found == "continuous"
    text = "cohort: c\ncovariates: {ECOG: {constant: 2}}\n"
    one = cohort_of(parse_sheet(text))
    (fault,) = check_cohort(one, model(Covariate("ECOG", values=(0.0, 1.0))))
    assert fault.found == "2"


def test_a_name_that_the_model_gives_to_a_parameter():
    taken = model(parameters=(Parameter("BMI", 25.0),))
    (fault,) = check_cohort(load_cohort("adults"), taken)
    assert "gives to a parameter" in fault.found


def test_the_shipped_cohort_has_all_that_docetaxel_asks():
    asks = [("BSA", "m2"), ("AAG", "g/L"), ("AGE", "a"), ("ALB", "g/L")]
    codes = [Covariate(n, values=(0.0, 1.0)) for n in ("HEP12", "FEMALE", "ECOG1")]
    asked = [Covariate(name, unit) for name, unit in asks]
    prior = Covariate("PRIOR", values=(0.0, 1.0))
    cohort = load_cohort("breast-cancer-second-line")
    assert check_cohort(cohort, model(*asked, *codes, prior)) == []
