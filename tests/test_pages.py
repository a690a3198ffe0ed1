"""The pages for people with an archive or a training of their own: every example in them runs, in the order of the page."""

import re
import shlex
import shutil
import socket
import subprocess
import sys
import types
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from distributed import Client

from covid_study import paths
from covid_study.cli import main
from covid_study.ranking import rank_negatives, soft_labels

DOCS = paths.root() / "docs"


def run(page: str, others: Callable[[list[str]], list[str]] = lambda words: words) -> dict:
    """What the examples of a page leave behind: its Python, and its commands of covid-study.

    others: does another command itself, or changes one of covid-study; what it returns is run, nothing where it is empty.
    """
    text, found = (DOCS / page).read_text(), {}
    blocks = re.findall(r"```(python|sh)\n(.*?)```", text, re.S)
    assert blocks and text.count("```") == 2 * len(blocks)  # nothing but what is run here
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, page, "exec"), found)
        lines = map(others, map(shlex.split, block.splitlines() if kind == "sh" else []))
        for program, *words in filter(None, lines):
            done = CliRunner().invoke(main, words)
            assert program == "covid-study" and done.exit_code == 0, done.output
    return found


def test_an_archive_is_ranked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run("rank-my-archive.md")
    assert len(found["ranking"]) == 288 and len(set(found["chosen"])) == 24
    assert pd.read_csv("chosen.csv", index_col=0).index.tolist() == found["chosen"]
    ranking = pd.read_parquet("ranking.parquet")  # the command's
    pd.testing.assert_frame_equal(
        ranking, found["ranking"].loc[ranking.index], check_names=False, check_dtype=False, rtol=1e-12
    )
    assert pd.read_csv("chosen-exams.csv", index_col=0).index.tolist() == found["chosen"]
    assert len(pd.read_csv("hardest.csv")) == len(pd.read_csv("spread-out.csv")) == 24
    assert len(pd.read_csv("by-hellinger.csv")) == 288
    assert set(found["positives"]) <= set(found["kept"].index)
    assert len(found["kept"]) == len(found["sampler"].sample_indices_) < 72 and len(found["ranked"]) == 288
    assert len(found["spread_out"]) == 24 and found["labels"].sum() == 12


@pytest.fixture
def lightning(monkeypatch):
    """Lightning where it is installed; it is no dependency. Else what its module is, too: a module of PyTorch."""
    try:
        import lightning
    except ImportError:
        lightning = types.ModuleType("lightning")
        lightning.LightningModule = torch.nn.Module
        monkeypatch.setitem(sys.modules, "lightning", lightning)
    return lightning


def test_the_losses_are_parts(lightning):
    torch.manual_seed(0)
    found = run("losses-in-my-code.md")
    assert found["diagnosis"].shape == (8, 2) and float(found["value"].detach()) > 0
    module = found["Diagnosis"]()
    optimiser = module.configure_optimizers()
    held = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    assert {id(module.loss.raw_alpha), id(module.loss.raw_betas)} <= held
    before = module.loss.raw_alpha.item()
    module.training_step((torch.rand(4, 3, 64, 64), torch.tensor([0, 1, 0, 0])), 0).backward()
    optimiser.step()
    assert module.loss.raw_alpha.item() != before


def test_exams_go_through_the_study(travelled, tmp_path, monkeypatch):
    """Every command of the page, in its order, on a run of that name."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(travelled.exams / "covid-0000-a", tmp_path / "exams" / "covid-0000-a")
    shutil.copy(min(travelled.exams.glob("*.mha")), tmp_path / "exams")
    monkeypatch.setattr(paths, "build", lambda name: travelled.folder / "build" / {"demo": "tiny"}[name])
    run("my-exams.md")
    found = pd.read_csv("predictions.csv")
    assert len(found) == len(list((tmp_path / "maps").rglob("*.png"))) == 2 and found["error"].isna().all()
    assert (tmp_path / "explained.png").is_file()


def test_a_cluster_takes_the_work(travelled, tmp_path, monkeypatch):
    """Every command of the page: a scheduler and a worker of its own; what runs for hours is only listed."""
    free, started = socket.socket(), []
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
    free.close()

    def others(words: list[str]) -> list[str]:
        words = [word.replace("8786", port) for word in words]
        if words[0] == "dask":
            started.append(subprocess.Popen([sys.executable, "-m", *words], stderr=subprocess.DEVNULL))
            if words[1] == "worker":
                with Client(words[2], timeout=60) as client:
                    client.wait_for_workers(1, timeout=60)
            return []
        return words + ["--list"] * (words[1] == "reproduce" and "--list" not in words)

    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).gamma(2, size=(30, 5))
    table = pd.DataFrame(values, [f"exam-{number}" for number in range(30)], list("abcde"))
    table.assign(finding=["covid"] * 6 + ["cap"] * 24).to_parquet("features.parquet")
    pd.Series(dtype=str, name="exam_id").to_csv("exams.csv")
    build = paths.build
    monkeypatch.setattr(
        paths, "build", lambda name: travelled.folder / "build" / "tiny" if name == "laptop" else build(name)
    )
    try:
        run("from-a-laptop-to-a-cluster.md", others)
    finally:
        for one in started:
            one.terminate()
            one.wait()
    near, far = table[:6], table[6:]
    expected = rank_negatives(soft_labels(near.sort_index(), far.sort_index()))
    found = pd.read_parquet("ranking.parquet")
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_names=False, rtol=1e-12)
    assert len(started) == 2 and (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    "page", ["rank-my-archive.md", "losses-in-my-code.md", "my-exams.md", "from-a-laptop-to-a-cluster.md"]
)
def test_the_readme_leads_to_a_page_and_its_links_lead_somewhere(page):
    assert f"(docs/{page})" in (paths.root() / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", (DOCS / page).read_text()):
        assert (DOCS / link).resolve().is_file(), link
