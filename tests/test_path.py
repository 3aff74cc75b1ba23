"""The whole walk once: three sheets in, a report out, each noun seen on the way."""

import numpy as np
import xarray as xr

import vtrial as vt

SHEET = """
protocol: walk
model: one-compartment-oral
cohort: adults
subjects: 40
replicates: 2
seed: 3
block: 32
arms:
  low: {dose: "50 mg every 24 h x 3"}
  high: {dose: "100 mg every 24 h x 3"}
design:
  randomisation: {permuted block: 4}
visits:
  profile: {at: "48 h, 49 h, 50 h, 52 h, 56 h, 72 h", measure: [conc]}
endpoints:
  peak: {of: conc, take: maximum, within: "48 h to 72 h"}
analysis:
  - {compare: high with low, on: peak, by: ratio of geometric means}
published:
  - {arm: high, endpoint: peak, value: 1.5, within: 1.5, source: {note: made up}}
"""


def test_walk_from_sheet_to_report(tmp_path):
    (tmp_path / "walk.yaml").write_text(SHEET)
    protocol = vt.load_protocol(tmp_path / "walk.yaml")
    record = vt.run(protocol, out=tmp_path / "run", workers=0)
    tree = record.tree()
    assert tree["subjects"].sizes["subject"] == 80
    estimates = vt.evaluate(tree, protocol)
    ratio = estimates.contrasts.iloc[0]
    assert abs(ratio["estimate"] - 2) < 3 * ratio["mc_error"] + 0.5
    page = vt.render(estimates, protocol, tmp_path / "run", attributes=tree.attrs)
    assert "walk" in page.read_text()
    plain = xr.open_datatree(record.path, engine="zarr", consolidated=False)
    high = plain["subjects"]["arm"].values == 1
    assert (
        np.isfinite(plain["arms/high/outcomes"]["outcome"].values[:, 0]) == high
    ).all()
