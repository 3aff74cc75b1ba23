"""What a comparison of several doses may be told."""

import pytest

from vtrial.errors import ProtocolError
from vtrial.protocol.load import load_protocol

SHEET = """
protocol: dosed
model: theophylline
cohort: theophylline-twelve
subjects: 80
arms:
  none: {{dose: 60 mg}}
  low: {{dose: 100 mg}}
  high: {{dose: 200 mg}}
visits:
  blood: {{at: "2 h, 8 h", measure: [conc]}}
endpoints:
  peak: {{of: conc, take: maximum}}
analysis:
  - {{compare: high with none, on: peak, by: MCP-Mod, doses: {doses}, shapes: {shapes}{more}}}
"""  # noqa: E501
WORD = "MCP-Mod of responses"
DOSES = "{high: 200, none: 60, low: 100}"


def load(*, doses=DOSES, shapes="[linear, emax 100]", more="", word="MCP-Mod"):
    text = SHEET.format(doses=doses, shapes=shapes, more=more)
    return load_protocol(text.replace("MCP-Mod", word))


def test_doses_are_in_order_and_shapes_have_their_guesses():
    made = load(more=", target: 500 ug/L, choose: average").analysis.comparisons[0]
    assert made.doses == (("none", 60.0), ("low", 100.0), ("high", 200.0))
    assert made.shapes == (("linear", ()), ("emax", (100.0,)))
    assert made.target == 0.5
    assert made.choose == "average"


def test_a_target_of_responses_is_an_odds_ratio():
    text = SHEET.replace("maximum", "maximum, above: 3").replace("MCP-Mod", WORD)

    def target(words):
        told = {"doses": DOSES, "shapes": "[linear]", "more": f", target: {words}"}
        return load_protocol(text.format(**told)).analysis.comparisons[0].target

    assert target("2.5") == 2.5
    for words in ("1", "-2"):
        with pytest.raises(ProtocolError, match="an odds ratio"):
            target(words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"doses": "{none: 60, lo: 100, high: 200}"}, "Write `low`"),
        ({"doses": "{none: 60, low: 100, high: 20}"}, "lowest dose for the reference"),
        ({"doses": "{none: 60, low: 60, high: 200}"}, "a dose of its own"),
        ({"doses": "{none: 60, low: 100}"}, "without `high`, which is compared"),
        ({"doses": "{none: -1, low: 100, high: 200}"}, "0 or more"),
        ({"shapes": "[emaxx 3]"}, "Write `emax`"),
        ({"shapes": "[emax]"}, r"one each of ed50 \(`emax ED50`\)"),
        ({"shapes": "[emax x]"}, "a shape and numbers: `emax ED50`"),
        ({"shapes": "[sigEmax 20 3]"}, "at most 3 parameters"),
        ({"shapes": "[step 500]"}, "at most the highest dose"),
        ({"more": ", target: 0"}, "above or below 0"),
        ({"more": ", target: 3 kg"}, "converts to mg/L"),
        ({"word": WORD}, "which is a number"),
        ({"more": ", margin: {above: 1}"}, "whether there is any dose-response"),
    ],
)
def test_what_makes_no_sense_is_refused(changed, words):
    with pytest.raises(ProtocolError, match=words):
        load(**changed)
