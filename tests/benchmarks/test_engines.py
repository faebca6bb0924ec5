"""Forward passes side by side: how single measurements become rows."""

import numpy as np


def test_a_row_has_the_median_and_what_differs_from_tensorflow(script, tmp_path):
    sides = script("engines").SIDES
    found = {("tiny", side): [{"reason": "No module named 'torch'"}] for side in sides}
    found["tiny", "tensorflow"] = [{"speed": speed, "prepared": 4.0} for speed in (90.0, 110.0, 100.0)]
    found["tiny", "openvino"] = [{"speed": 300.0, "prepared": 6.0}, {"reason": "killed"}]
    np.save(tmp_path / "tiny-tensorflow.npy", np.array([0.25, 0.75]))
    np.save(tmp_path / "tiny-openvino.npy", np.array([0.5, 0.5]))
    rows = {row["side"]: row for row in script("engines").rows_of("tiny", found, tmp_path)}
    assert list(rows) == list(sides)
    ours = rows["tensorflow"]
    assert (ours["images a second"], ours["least"], ours["most"]) == (100.0, 90.0, 110.0)
    assert (ours["times tensorflow"], ours["largest difference"]) == (1.0, 0.0)
    assert (rows["openvino"]["times tensorflow"], rows["openvino"]["largest difference"]) == (3.0, 0.25)
    assert rows["openvino"]["note"] == "killed"
    assert (rows["pytorch"]["images a second"], rows["pytorch"]["note"]) == (None, "No module named 'torch'")
