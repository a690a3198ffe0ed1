"""The benchmark of precisions at a small size, and that `precision: auto` is what it measured. No test looks at seconds."""

import json
import sys

import pytest

from covid_study import paths
from covid_study.networks.precision import GAIN

sys.path.insert(0, str(paths.root() / "benchmarks"))
import precision as benchmark  # noqa: E402


def test_one_part_is_measured_and_the_others_stay(tmp_path, monkeypatch):
    def main(*parts):
        monkeypatch.setattr(
            sys, "argv", ["precision.py", "--quick", "--out", str(tmp_path), "--parts", *parts]
        )
        benchmark.main()
        return json.loads(next(tmp_path.glob("*-quick.json")).read_text())

    planted = {"epochs": 1, "exams": 2, "test_exams": 3, "auc": {"float32": [0.5], "bf16": [0.75]}}
    monkeypatch.setattr(benchmark, "scores", lambda *_: planted | benchmark.paired([0.75, 0.5], [0.5, 0.5]))
    first, both = main("scores"), main("1")
    assert both["scores"] == first["scores"] and set(both) == {"scores", "1"}
    rows = {row["network"]: row for row in both["1"]["steps"]}
    assert set(rows) == {"resnet3d", "mobilenet_v2"}
    for row in rows.values():
        assert row["threads"] == 1 and min(row["float32"], row["bf16"]) > 0
        assert row["ratio_lowest"] <= row["ratio"] <= row["ratio_highest"]
    assert "| mobilenet_v2 | 2.2 M | 8 x 1 x 32 x 32 |" in next(tmp_path.glob("*.md")).read_text()


@pytest.mark.parametrize("file", benchmark.RESULTS.glob("precision-*.json"), ids=lambda file: file.stem)
def test_auto_takes_bf16_where_it_was_measured_to_be_faster(file):
    rows = json.loads(file.read_text())["1"]["steps"]
    assert {row["network"] for row in rows} == {"resnet3d", *benchmark.backbones.NAMES}
    for row in rows:
        if row["network"] in GAIN:
            assert row["ratio"] > 1 or max(row["shape"][2:]) < GAIN[row["network"]], row
        else:
            assert row["ratio"] < 1, row
