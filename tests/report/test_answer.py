"""The answer: what comes first, what stands beside it, and in whose words."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.altered import altered
from vtrial.endpoint.endpoint import Endpoint
from vtrial.model.model import Covariate
from vtrial.protocol.analysis import Comparison, Tier
from vtrial.protocol.protocol import Keep
from vtrial.protocol.times import unit_of
from vtrial.report.answer_table import answer_table, ordered_endpoints
from vtrial.report.design import (
    code_words,
    effect_words,
    endpoint_in_words,
    factor_title,
    factors_shown,
    visit_in_words,
    where_words,
)
from vtrial.report.forest import better_way, sides_of
from vtrial.report.gallery import Shown
from vtrial.report.gist import answering_figure, gists_of
from vtrial.report.page import render
from vtrial.report.sheet_time import in_sheet_time
from vtrial.report.tables import endpoint_kind, endpoints_tables, published_words
from vtrial.report.timing import timing_of

FOURTEEN = ("d60", "d75", "d100", *(f"d{110 + 10 * place}" for place in range(11)))


def answered(protocol, estimates):
    published = published_words(protocol, estimates.published)
    return answer_table(protocol, estimates.endpoints, estimates.contrasts, published)


def test_what_is_compared_is_told_first(protocol, estimates):
    frame = estimates.endpoints
    assert ordered_endpoints(protocol, frame) == ["grade 4", "nadir"]
    turned = altered(protocol, comparisons=protocol.analysis.comparisons[::-1])
    assert ordered_endpoints(turned, frame) == ["nadir", "grade 4"]
    plain = altered(protocol, comparisons=(), published=())
    assert ordered_endpoints(plain, frame[::-1]) == ["nadir", "grade 4"]


def test_arms_are_columns_and_effects_stand_below_their_endpoint(protocol, estimates):
    table = answered(protocol, estimates)
    assert table.heads == ("Endpoint", "60 mg/m²", "75 mg/m²", "100 mg/m²")
    share, effect, nadir, ratio = table.rows
    assert [cell.text for cell in share][::3] == ["Grade 4", "69.6\u202f%"]
    (note,) = share[3].notes
    assert note == ("published 75.4\u202f%: within", "good")
    assert share[1].notes[0] == ("published 30.0\u202f%: miss", "bad")
    assert effect[0].small == "risk difference against 75 mg/m²"
    assert (effect[3].text, effect[3].small) == (
        "19.4\u202fpp",
        "11.0 to 28.0\u202fpp",
    )
    assert effect[2].small == "reference"
    assert (nadir[0].text, nadir[0].small) == ("ANC nadir", "mean")
    assert ratio[0].small == "ratio of geometric means against 60 mg/m²"
    assert "holds 95 % of single trials" in table.caption


def test_many_arms_lie_down_the_table(make_protocol, make_estimates):
    many = make_protocol(arms=FOURTEEN)
    estimates = make_estimates(many)
    table = answered(many, estimates)
    assert [row[0].text for row in table.rows] == [
        f"{arm.removeprefix('d')} mg/m²" for arm in FOURTEEN
    ]
    assert table.heads[:3] == (
        "Arm",
        "Grade 4",
        "Risk difference against 75 mg/m²",
    )
    blocks = endpoints_tables(many, estimates.endpoints, estimates.missing)
    assert [len(block.heads) - 2 for block in blocks] == [5, 5, 4]
    heads = [head for block in blocks for head in block.heads[2:]]
    assert heads == [row[0].text for row in table.rows]
    assert len({block.name for block in blocks}) == 3
    assert blocks[1].caption.startswith("Arms 6 to 10 of 14.")


def test_digits_follow_the_monte_carlo_error(protocol, estimates):
    vague = replace(estimates, endpoints=estimates.endpoints.assign(mc_error=0.036))
    (table,) = endpoints_tables(protocol, vague.endpoints, vague.missing)
    assert table.rows[1][2].text == "38\u202f%"
    assert table.rows[1][2].small == "31 to 45\u202f%"
    assert table.rows[3][2].text == "0.67 × 10⁹/L"


def test_standard_deviations_of_shares_are_points(protocol):
    assert endpoint_kind(protocol, "grade 4", "sd") == "points"
    assert endpoint_kind(protocol, "grade 4", "share") == "share"
    assert endpoint_kind(protocol, "nadir", "sd") == "plain"


def shown(name):
    return Shown(name, name, "", "")


def test_the_figure_that_answers_is_chosen_by_rule(dosed, full):
    drawn = {
        "survival": [shown("survival-recovery")],
        "dose": [shown("dose-response-grade-4"), shown("dose-response-nadir")],
        "contrasts": [shown("contrasts-risk-difference")],
        "published": [shown("published-share")],
        "distributions": [shown("responders")],
    }
    frame = full.endpoints

    def chosen(drawn, protocol=dosed, frame=frame):
        found, rest = answering_figure(protocol, frame, drawn)
        names = [one.name for part in rest.values() for one in part]
        assert not {one.name for one in found} & set(names), "none stands twice"
        return [one.name for one in found]

    assert chosen(drawn) == ["dose-response-grade-4"]
    event = Comparison("c", "d100", "d60", "recovery", "hazard ratio")
    timed = altered(dosed, comparisons=(event,))
    rows = pd.concat([frame, frame.head(1).assign(endpoint="recovery")])
    assert chosen(drawn, timed, rows) == ["survival-recovery"]
    without = drawn | {"dose": []}
    assert chosen(without) == ["contrasts-risk-difference"]
    without |= {"contrasts": []}
    assert chosen(without) == ["published-share"]
    without |= {"published": []}
    assert chosen(without) == ["responders"]
    assert chosen(without | {"distributions": []}) == []


def test_folded_sections_say_what_they_hold(protocol, estimates):
    frames = {
        name: getattr(estimates, name)
        for name in ("published", "endpoints", "failures")
    }
    gists = gists_of(frames, protocol, sources=1)
    assert gists["published"] == "1 within, 1 missed"
    assert gists["endpoints"] == "2 endpoints"
    assert (gists["failures"], gists["sources"]) == ("3 subjects", "1 source")
    assert gists["operating"] == "200 trials"


def test_a_page_is_folded_but_for_what_answers(protocol, estimates, tmp_path):
    page = render(estimates, protocol, tmp_path, attributes={})
    text = page.read_text(encoding="utf-8")
    found = re.findall(
        r'<section id="(\w+)"[^>]*>\s*<details class="part"( open)?>', text
    )
    opened = [name for name, is_open in found if is_open]
    assert opened == ["design", "flow", "contrasts", "bands"]
    assert [name for name, is_open in found if not is_open] == [
        *("published", "endpoints", "distributions"),
        *("failures", "computed", "sources"),
    ]
    assert text.index('class="lead"') < text.index('id="table-answer"')
    assert text.index('id="table-answer"') < text.index('class="warnings"')
    assert text.count('id="contrasts-risk-difference-title"') == 1


def test_sheets_count_time_in_their_own_unit(protocol):
    weeks = {
        "visits": {"quarterly": {"at": "week 0, week 12, week 24"}},
        "endpoints": {"loss": {"at": "week 68"}, "peak": {"within": "0 h to 24 h"}},
        "grid": [{"every": "4 h", "until": "day 3"}],
    }
    assert unit_of(weeks) == "wk"
    assert unit_of({"grid": [{"every": "15 min"}]}) == "h"
    assert (
        unit_of({"endpoints": {"a": {"title": "at week 8", "within": "cycle 1"}}}) == ""
    )
    many_hours = {"at": "312.5 h, 313 h, 314 h"}, {"at": "day 1"}, {"at": "day 2"}
    assert unit_of({"visits": dict(enumerate(many_hours))}) == "d"
    trial = replace(protocol, data=weeks)
    point = Endpoint("loss", "anc", "value", 11424.0, 11424.0)
    assert "at week 68;" in endpoint_in_words(trial, point)
    span = replace(point, take="minimum", start=0.0, end=8736.0)
    assert "from week 0 to week 52" in endpoint_in_words(trial, span)
    assert visit_in_words(trial, protocol.visits[0]).startswith(
        "week 0 to 18, every 1 wk (19 times), each moved by up to ±24 h"
    )


def test_times_are_since_the_start_where_nobody_is_dosed(protocol, dosed):
    assert timing_of(dosed).since == "the first dose"
    assert timing_of(protocol).since == "the start"


@pytest.mark.slow
def test_times_to_events_are_told_as_the_sheet_counts(dosed, full, tmp_path):
    data = {"visits": {"blood": {"at": "day 0, day 7"}}}
    hours = full.endpoints.head(3).assign(
        endpoint="recovery", statistic="median", unit="h", estimate=240.0, mc_error=2.4
    )
    frames = {
        name: getattr(full, name)
        for name in (
            *("endpoints", "contrasts", "distributions", "subgroups"),
            *("published", "convergence", "operating"),
        )
    }
    frames["endpoints"] = pd.concat([full.endpoints, hours])
    told, protocol = in_sheet_time(frames, replace(dosed, data=data))
    rows = told["endpoints"][told["endpoints"]["endpoint"] == "recovery"]
    np.testing.assert_allclose(rows["estimate"], 10.0)
    assert set(rows["unit"]) == {"d"}
    assert protocol.endpoint("recovery").unit == "d"
    assert frames["endpoints"]["estimate"].iloc[-1] == 240.0, "what was given stays"
    others = told["endpoints"][told["endpoints"]["endpoint"] != "recovery"]
    pd.testing.assert_frame_equal(others, full.endpoints)
    same, untouched = in_sheet_time(frames, dosed)
    assert untouched is dosed
    pd.testing.assert_frame_equal(same["endpoints"], frames["endpoints"])
    whole = replace(full, endpoints=frames["endpoints"])
    page = render(whole, replace(dosed, data=data), tmp_path, attributes={})
    assert "10.0\u202fd" in page.read_text(encoding="utf-8")
    kept = pd.read_csv(tmp_path / "tables" / "endpoints.csv")
    assert kept["estimate"].iloc[-1] == 240.0


def test_effects_have_the_names_of_the_field():
    assert effect_words("difference by ranks") == "Hodges-Lehmann shift"
    assert effect_words("log-rank") == "hazard ratio (log-rank)"
    assert effect_words("odds ratio") == "odds ratio"


@pytest.mark.parametrize(
    ("changes", "way", "sides"),
    [
        ({}, 0, ("higher under 75 mg/m²", "higher under 100 mg/m²")),
        ({"above": -0.1}, 1, ("favours 75 mg/m²", "favours 100 mg/m²")),
        ({"below": 0.1}, -1, ("favours 100 mg/m²", "favours 75 mg/m²")),
        (
            {"above": -0.1, "below": 0.1},
            0,
            ("higher under 75 mg/m²", "higher under 100 mg/m²"),
        ),
        (
            {"by": "win ratio", "tiers": (Tier("grade 4", higher=False),)},
            1,
            ("favours 75 mg/m²", "favours 100 mg/m²"),
        ),
        (
            {"by": "hazard ratio"},
            0,
            ("more events under 75 mg/m²", "more events under 100 mg/m²"),
        ),
    ],
)
def test_a_forest_says_what_lies_on_either_side(
    protocol, estimates, changes, way, sides
):
    asked = replace(protocol.analysis.comparisons[0], **changes)
    assert better_way(asked) == way
    trial = altered(protocol, comparisons=(asked,))
    rows = estimates.contrasts.head(1).assign(by=asked.by)
    assert sides_of(trial, rows) == sides


def test_codes_are_explained_where_the_sheet_explains_them(protocol):
    covariates = (
        Covariate("FEMALE", title="female", values=(0.0, 1.0)),
        Covariate("ASIAN", title="Asian", values=(0.0, 1.0)),
        Covariate("SEX", title="sex (0 man, 1 woman)"),
        Covariate("PRIOR", title="treated before (1 yes)"),
        Covariate("SITE"),
    )
    trial = replace(protocol, model=replace(protocol.model, covariates=covariates))
    said = [
        code_words(trial, name, code)
        for name, code in (
            *(("FEMALE", 1.0), ("ASIAN", 0.0), ("SEX", 1.0), ("PRIOR", 0.0)),
            *(("SITE", 3.0), ("SEX", 2.0)),
        )
    ]
    assert said == ["female", "Asian: no", "sex: woman", "treated before: no", "", ""]
    assert where_words(trial, "ASIAN == 1 and SITE == 3 and AGE > 4") == (
        "Asian: yes and SITE == 3 and AGE > 4"
    )


@pytest.mark.slow
def test_helpers_of_the_cohort_stay_in_the_tables(dosed, full, tmp_path):
    assert factors_shown(dosed) == {"AAG", "FEMALE"}
    kept = replace(dosed, keep=Keep(individual=("CL",)))
    assert factors_shown(kept) == {"AAG", "FEMALE", "CL"}
    assert factor_title(dosed, "AAG") == "alpha-1 acid glycoprotein"
    assert factor_title(dosed, "ROW") == "ROW"
    explained = full.explained
    one = explained[explained["covariate"].isin(["AAG", "ETA1"])]
    render(replace(full, explained=one), dosed, tmp_path, attributes={})
    drawn = pd.read_csv(tmp_path / "figures" / "explained-nadir.csv")
    assert set(drawn["covariate"]) == {"AAG"}
    table = pd.read_csv(tmp_path / "tables" / "explained.csv")
    assert set(table["covariate"]) == {"AAG", "ETA1"}
