"""The pages for people with an archive or a training of their own: every example in them runs, in the order of the page."""

import re
import shlex
import shutil
import sys
import types

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from covid_study import paths

DOCS = paths.root() / "docs"


def run(page: str) -> dict:
    """What the examples of a page leave behind."""
    text, found = (DOCS / page).read_text(), {}
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert blocks and text.count("```") == 2 * len(blocks)  # nothing but what is run here
    for block in blocks:
        exec(compile(block, page, "exec"), found)
    return found


def test_an_archive_is_ranked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = run("rank-my-archive.md")
    assert len(found["ranking"]) == 288 and len(set(found["chosen"])) == 24
    assert pd.read_csv("chosen.csv", index_col=0).index.tolist() == found["chosen"]
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
    from covid_study.networks import torchvision_compat  # where torchvision has no operators of its own  # noqa: F401

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
    from covid_study.cli import exams

    monkeypatch.chdir(tmp_path)
    shutil.copytree(travelled.exams / "covid-0000-a", tmp_path / "exams" / "covid-0000-a")
    shutil.copy(min(travelled.exams.glob("*.mha")), tmp_path / "exams")
    monkeypatch.setattr(paths, "build", lambda name: travelled.folder / "build" / {"demo": "tiny"}[name])
    text = (DOCS / "my-exams.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    assert text.count("```") == 2 * len(blocks)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert [command[:2] for command in commands] == [
        ["covid-study", n] for n in ("export", "predict", "explain")
    ]
    for _, name, *arguments in commands:
        said = CliRunner().invoke(getattr(exams, name), arguments)
        assert said.exit_code == 0, said.output
    found = pd.read_csv("predictions.csv")
    assert len(found) == len(list((tmp_path / "maps").glob("*.png"))) == 2 and found["error"].isna().all()
    assert (tmp_path / "explained.png").is_file()


@pytest.mark.parametrize("page", ["rank-my-archive.md", "losses-in-my-code.md", "my-exams.md"])
def test_the_readme_leads_to_a_page_and_its_links_lead_somewhere(page):
    assert f"(docs/{page})" in (paths.root() / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#:]+)\)", (DOCS / page).read_text()):
        assert (DOCS / link).resolve().is_file(), link
