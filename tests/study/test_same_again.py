"""On a CPU the study says the same to the last bit, whatever the workers and whatever the order of its runs."""

from tiny_study import parameters

from covid_study import paths
from covid_study.samples.volume_store import volumes
from covid_study.tables import a3_ranking
from covid_study.training.sweep import sweep


def test_more_workers_and_another_order_move_nothing(root, v, table3, tmp_path, monkeypatch):
    runs, folders = table3
    monkeypatch.setattr(paths, "build", lambda name: tmp_path / name)
    again = parameters(
        root, study={"name": "tiny", "workers": 2, "seeds": [0], "bootstrap": 100, "device": "cpu"}
    )
    v2 = volumes(again)
    assert v2.folder != v.folder and v2.key == v.key and v2.data.equal(v.data)
    made = a3_ranking.table(again, v2).runs
    assert {cell: run.config() for cell, run in made.items()} == {
        cell: run.config() for cell, run in runs.items()
    }
    some = list(made)[-1:0:-2]
    trained = sweep({str(cell): made[cell] for cell in some}, v2, tmp_path / "runs")
    for cell in some:
        for name in ("weights.safetensors", "predictions.parquet"):
            assert (trained[str(cell)] / name).read_bytes() == (folders[cell] / name).read_bytes(), (
                cell,
                name,
            )
