"""Costs: prices of endpoints, added up in one currency."""

import numpy as np
import pytest

import vtrial as vt
from vtrial.errors import ProtocolError
from vtrial.model.grammar import write_expression
from vtrial.protocol.load import load_protocol

SHEET = {
    "protocol": "costed",
    "model": "machine-wear",
    "cohort": "alike",
    "subjects": 12,
    "potential": "all",
    "arms": {"old": {"set": {"OLD": 3}}, "worn": {"set": {"WORN": 16}}},
    "visits": {"seen": {"at": "day 0, day 2000, day 4000", "measure": ["wear"]}},
    "endpoints": {
        "fails": {"of": "failures", "take": "increase"},
        "in use": {"of": "life", "take": "value", "values": "true", "at": "day 4000"},
    },
    "costs": {"each subject": "20 kUSD", "fails": "80 kUSD", "in use": "2 kUSD/mo"},
    "keep": {"trajectories": "nothing"},
}


def test_costs_become_an_endpoint_that_is_compared():
    protocol = load_protocol(SHEET)
    cost = protocol.endpoint("cost")
    assert cost.unit == "kUSD"
    assert cost.end == 4000 * 24
    words = write_expression(cost.equals)
    assert words.startswith("20 + 80*fails + 24")
    assert words.endswith("*in_use")
    (comparison,) = protocol.analysis.comparisons
    assert comparison.name == "worn with old on cost"
    own = {"compare": "old with worn", "on": "cost", "by": "difference by ranks"}
    (comparison,) = load_protocol(SHEET | {"analysis": [own]}).analysis.comparisons
    assert comparison.measure.word == "difference by ranks"


@pytest.mark.parametrize(
    ("costs", "at", "said"),
    [
        ({"fail": "80 USD"}, "costs.fail", "unknown endpoint"),
        ({"fails": "80"}, "costs.fails", "30 USD"),
        ({"in use": "2 kUSD/mg"}, "costs.in use", "30 USD/a"),
        ({"in use": "2 kUSD"}, "costs.in use", "30 USD/a"),
        ({"fails": "80 USD", "each subject": "1 EUR"}, "costs.each subject", "in USD"),
    ],
)
def test_a_wrong_price_is_refused(costs, at, said):
    with pytest.raises(ProtocolError) as caught:
        load_protocol(SHEET | {"costs": costs})
    (fault,) = caught.value.faults
    assert fault.at == at
    assert said in str(fault)


def test_costs_beside_an_endpoint_of_that_name_are_refused():
    points = SHEET["endpoints"] | {"cost": {"equals": "2*fails"}}
    with pytest.raises(ProtocolError, match="given beside an endpoint `cost`"):
        load_protocol(SHEET | {"endpoints": points})


@pytest.mark.slow
def test_a_cost_is_the_sum_for_each_subject(tmp_path):
    protocol = load_protocol(SHEET)
    record = vt.run(protocol, out=tmp_path, workers=0)
    for arm in ("old", "worn"):
        fails, used, cost = (
            record.tree()[f"arms/{arm}/outcomes/outcome"].values.T[place]
            for place in range(3)
        )
        np.testing.assert_allclose(cost, 20 + 80 * fails + 24 * used, rtol=1e-12)
    found = vt.evaluate(record.tree(), protocol)
    mean = found.endpoints.query("endpoint == 'cost' and arm == 'old'")["estimate"]
    assert mean.iloc[0] == pytest.approx(
        np.mean(record.tree()["arms/old/outcomes/outcome"].values[:, 2])
    )
    assert found.contrasts["comparison"].tolist() == ["worn with old on cost"]
