"""The runner, on small projects with notebooks of its own; four kernels are started in all."""

import json
import os
import re
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from unittest import mock

import nbformat
import psutil
import pytest
from click.testing import CliRunner
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from offline import outside_references

from covid_study import paths
from covid_study.cli import main
from covid_study.errors import ParameterError, StudyError
from covid_study.params import sections
from covid_study.runtime import closure
from covid_study.study import beside, dependencies, execute, pages, reproduce, verify
from covid_study.study.display import Display
from covid_study.study.plan import plan

PARAMETERS = new_code_cell('study = {"profile": "toy"}', metadata={"tags": ["parameters"]})
STEMS = ("00_guide", "01_good", "02_bad", "03_after")


def write_notebook(root, stem, *cells):
    cells = [new_markdown_cell(f"# Title of {stem}"), PARAMETERS, *cells]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / f"{stem}.ipynb")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    for folder in ("notebooks", "params"):
        (root / folder).mkdir()
    shutil.copy(paths.root() / "params" / "demo.yaml", root / "params" / "toy.yaml")
    shutil.copy(paths.root() / "params" / "paper.yaml", root / "params" / "paper.yaml")
    write_notebook(
        root,
        "01_good",
        new_markdown_cell("An equation, $f_k - g_k$, and\n\n$$\\sum_k |x_k| \\tag{3}$$"),
        new_code_cell(
            "import os, matplotlib.pyplot as plt, pandas as pd\n"
            "from pathlib import Path\n"
            "from covid_study import params, paths\n"
            "from covid_study.report import say as reports\n"
            "from covid_study.runtime.progress import progress\n"
            "for epoch in progress(range(3), 'training'): pass\n"
            "figure, axes = plt.subplots(); axes.plot([1, 2])\n"
            "paths.root = Path.cwd\n"
            "p = params.load('99_toy', study=study)\n"
            "params.show(p)\n"
            "run = f'{p.study.profile}, {p.study.name}, {p.training.epochs} epochs'\n"
            "reports.headline(f'F1 is 0.5 in {run} & on {os.path.basename(os.getcwd())}', figure)\n"
            "exams = pd.DataFrame({'exam_id': ['a'], 'patient_id': ['p'], 'finding': ['covid'], 'split': ['test']})\n"
            "reports.cohort(exams)\n"
            "reports.left_out(pd.DataFrame([{'exam_id': 'P9', 'problem': 'no lungs', 'remedy': 'look at it'}]))\n"
            "from covid_study.runtime.artefacts import artefact\n"
            "for _ in range(2):\n"
            "    artefact(paths.build('toy') / 'runs', 'a', {}, ['errors'], lambda f: (f / 'x').write_text('whole'))\n"
            "from covid_study.report.results import write_results\n"
            "for name in ('a', 'b'): write_results(paths.build('toy') / 'results' / f'{name}.parquet', exams)"
        ),
    )
    write_notebook(
        root,
        "02_bad",
        new_code_cell(
            "from covid_study.errors import ExamError\nraise ExamError('P001', 'a slice is missing', 'restore it')"
        ),
    )
    write_notebook(root, "03_after", new_code_cell("1 + 1"))
    return root


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(sections, "NOTEBOOKS", dict.fromkeys(STEMS, ()))


@pytest.fixture(scope="module", autouse=True)
def variables():
    """What a run leaves of them is gone for later modules."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="module")
def ran(project, variables):
    """The project after its first run: 01 done, 02 failed, 03 not run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sections, "NOTEBOOKS", dict.fromkeys(STEMS, ()))
        patch.setenv("JUPYTER_PATH", "")
        patch.setenv("PYTHONPATH", "")
        # beside each other the first may end before the second fails, and the third begin
        patch.setattr(reproduce, "_at_once", lambda run: (1, {}))
        assert reproduce.reproduce(plan("toy", root=project, assignments="training.epochs=7")) is False
    return project


def statuses(root, **options):
    return {n.stem: n.status() for n in plan("toy", root=root, **options).notebooks}


def test_run_stops_at_the_failure_and_goes_on_with_nothing_else(ran):
    assert statuses(ran) == {"01_good": "done", "02_bad": "failed", "03_after": "not-run"}
    folder = ran / "build" / "toy" / "notebooks"
    assert sorted(p.name for p in folder.iterdir()) == [
        "01_good.ipynb",
        "01_good.json",
        "02_bad.failed.ipynb",
        "02_bad.json",
    ]
    record = json.loads((folder / "02_bad.json").read_text())
    assert record["error"] == "exam P001: a slice is missing. What to do: restore it."


def test_parameters_reach_the_notebook_and_it_runs_in_the_root(ran):
    text = (ran / "build" / "toy" / "notebooks" / "01_good.ipynb").read_text()
    assert f"F1 is 0.5 in toy, toy, 7 epochs & on {ran.name}" in text
    assert "training 3/3, took 0:00" in text


def test_pages_are_whole_in_themselves_and_equations_are_drawn(ran):
    folder = ran / "reports" / "toy"
    for page in folder.glob("*.html"):
        assert outside_references(page.read_text()) == [], page
    good = (folder / "01_good.html").read_text()
    assert good.count("<math") == 2 and "$" not in re.sub(
        r"<details.*?</details>|<style.*?</style>|<script>.*?</script>", "", good, flags=re.S
    )
    assert '<a href="02_bad.html">Title of 02_bad →</a>' in good
    assert (
        "This notebook failed; what stands below its error was not run. exam P001"
        in (folder / "02_bad.html").read_text()
    )
    assert "has not been run yet" in (folder / "03_after.html").read_text()


def test_a_page_begins_with_its_result_and_folds_what_is_for_the_referee():
    texts = ("# T\n\nFirst words.", "## For the referee: power\n\nDetail.", "### Deeper", "## After\n\nOpen.")
    page = {"title": "T", "subtitle": "s", "headline": "F1 is <0.5>.", "previous": None, "next": None}
    cells = [*map(new_markdown_cell, texts[:2]), new_code_cell("1 + 1"), *map(new_markdown_cell, texts[2:])]
    text = pages.render(new_notebook(cells=cells), page)
    text = text[text.index("<main>") :]
    order = [
        "</h1>",
        "F1 is &lt;0.5&gt;.",
        "First words",
        '<details class="referee"',
        "power</summary>",
        "Detail",
    ]
    order += ['class="code"', "Deeper", "</details>\n", "After", "Open."]
    places = [text.index(mark) for mark in order[:8]]
    assert places == sorted(places)
    closing = text.index("</details>", places[-1])
    assert closing < text.index("After") < text.index("Open.") and text.count("<details") == 2


def test_index_shows_what_notebooks_said_and_which_failed(ran):
    index = (ran / "reports" / "toy" / "index.html").read_text()
    for text in (
        "F1 is 0.5 in toy, toy, 7 epochs &amp;",
        "data:image/png;base64,",
        "1 exam, 1 patient",
        "P9",
        "no lungs",
        "not run yet",
    ):
        assert text in index
    assert "exam P001: a slice is missing" in index
    assert "1 of 3 notebooks are up to date" in index


def test_processes_are_asked_for_as_the_executor_is(project):
    def planned(**asked):
        return plan("toy", root=project, **asked).profile["study"]["processes"]

    assert planned() == 1 and planned(processes=2) == 2
    with pytest.raises(ParameterError, match="study.processes.*EXECUTOR, here dask"):
        planned(processes=2, executor="dask")
    with pytest.raises(ParameterError, match="study.processes.*greater than or equal to 1"):
        planned(processes=0)


def test_images_are_a_matter_of_the_notebooks_of_slices_alone(project, tmp_path, monkeypatch):
    monkeypatch.setitem(sections.NOTEBOOKS, "03_after", ("slices",))
    (tmp_path / "covid").mkdir()
    (tmp_path / "covid" / "1.png").write_bytes(b"1")
    run = plan("toy", images=str(tmp_path), root=project)
    assert run.profile["slices"]["images"] == run.images == str(tmp_path.resolve())
    with_images = {n.stem: n.parts for n in run.notebooks}
    (tmp_path / "covid" / "1.png").write_bytes(b"12")
    changed = {n.stem: n.parts for n in plan("toy", images=str(tmp_path), root=project).notebooks}
    assert changed["01_good"] == with_images["01_good"]
    assert changed["03_after"].pop("the images") != with_images["03_after"].pop("the images")
    assert changed["03_after"] == with_images["03_after"]
    with pytest.raises(StudyError, match="DATA=nowhere: there is no such file or folder"):
        plan("toy", images="nowhere", root=project)


def test_a_second_call_does_nothing_and_starts_nothing(ran, monkeypatch, capsys):
    monkeypatch.setattr(execute, "execute", lambda *a: pytest.fail("a notebook was run"))
    assert reproduce.reproduce(plan("toy", root=ran), "01") is True
    assert "Nothing to do" in capsys.readouterr().out


def test_what_lies_beside_the_index_is_written_where_it_is_gone_or_would_say_otherwise(ran, monkeypatch):
    def call():
        reproduce.reproduce(plan("toy", root=ran), "01")
        return len(written)

    reports, write, written = ran / "reports" / "toy", beside.write, []
    call()
    monkeypatch.setattr(beside, "write", lambda run: (written.append(run), write(run)))
    assert call() == 0
    (reports / "results.zip").unlink()
    assert call() == 1 and (reports / "results.zip").is_file() and call() == 1
    (reports / "index.html").write_text("what an earlier state said")
    assert call() == 2 and call() == 2


def test_changes_are_named_and_the_page_says_that_it_is_stale(ran, monkeypatch):
    assert plan("toy", root=ran, device="cuda").notebooks[0].changes() == ["its parameters"]
    monkeypatch.setattr(dependencies, "notebook_key", lambda content: "edited")
    run = plan("toy", root=ran)
    assert run.notebooks[0].status() == "stale"
    monkeypatch.setattr(
        execute, "execute", lambda *a: pytest.fail("only 03 was asked for, and it is stopped")
    )
    monkeypatch.setattr(execute, "injected", lambda *a: (_ for _ in ()).throw(StudyError("stop")))
    with pytest.raises(StudyError, match="stop"):
        reproduce.reproduce(run, "03")
    page = ran / "reports" / "toy" / "01_good.html"
    assert "Out of date: changed since it ran: the notebook." in page.read_text()
    monkeypatch.undo()
    monkeypatch.setattr(sections, "NOTEBOOKS", dict.fromkeys(STEMS, ()))
    assert reproduce.reproduce(plan("toy", root=ran), "01_good")
    assert "Out of date" not in page.read_text()


def test_what_stands_at_the_head_of_a_page_is_true_whatever_is_asked_for(ran, tmp_path, monkeypatch):
    copy = shutil.copytree(ran, tmp_path / "copy")
    folder, good = copy / "reports" / "toy", copy / "reports" / "toy" / "01_good.html"
    pages.mark(good, "Out of date: changed since it ran: its parameters.")
    shutil.copy(good, folder / "03_after.html")  # of a run whose record is gone
    monkeypatch.setattr(execute, "injected", lambda *a: (_ for _ in ()).throw(StudyError("stop")))
    with pytest.raises(StudyError, match="stop"):
        reproduce.reproduce(plan("toy", root=copy, assignments="training.epochs=7"), "03")
    assert "Out of date" not in good.read_text()
    assert "has not been run yet" in (folder / "03_after.html").read_text()


def test_a_page_of_an_older_template_is_made_again_whatever_is_asked_for(ran, tmp_path, monkeypatch):
    copy = shutil.copytree(ran, tmp_path / "copy")
    have_run = {n.stem for n in plan("toy", root=copy).notebooks if n.record}
    monkeypatch.setattr(pages, "templates_key", lambda: "newer")
    assert reproduce.reproduce(plan("toy", root=copy), "01")
    files = (copy / "reports" / "toy").glob("0*.html")
    assert {file.stem for file in files if 'content="newer"' in file.read_text()} == have_run > {"01_good"}
    assert "This notebook failed" in (copy / "reports" / "toy" / "02_bad.html").read_text()
    assert {n.record["templates"] for n in plan("toy", root=copy).notebooks if n.record} == {"newer"}


def test_a_half_written_record_or_a_lost_page_is_no_result(ran, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ran, copy)
    executed = copy / "build" / "toy" / "notebooks" / "01_good.ipynb"
    whole = executed.read_bytes()
    executed.write_bytes(whole[:-1])
    assert statuses(copy)["01_good"] == "stale"
    executed.write_bytes(whole)
    assert statuses(copy)["01_good"] == "done"
    (copy / "reports" / "toy" / "01_good.html").unlink()
    (copy / "build" / "toy" / "notebooks" / "02_bad.json").write_text('{"status": "do')
    assert statuses(copy) == {"01_good": "stale", "02_bad": "not-run", "03_after": "not-run"}


def cut(folder):
    (folder / "x").write_text("")


def alter(file):
    """One byte, in the same size."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


HARMS = [("runs/a-*", shutil.rmtree), ("runs/a-*", cut)]
HARMS += [("results/a.parquet", Path.unlink), ("results/b.parquet", alter), ("results", shutil.rmtree)]


@pytest.mark.parametrize("place, harm", HARMS)
def test_a_notebook_whose_artefact_or_result_is_removed_or_broken_runs_again(
    ran, tmp_path, place, harm, monkeypatch, capsys
):
    copy = shutil.copytree(ran, tmp_path / "copy")
    (harmed,) = (copy / "build" / "toy").glob(place)
    assert statuses(copy)["01_good"] == "done"
    harm(harmed)
    run = plan("toy", root=copy)
    assert run.notebooks[0].status() == "stale" and harmed.name in run.notebooks[0].why_stale()
    assert verify.verify(run) is False
    told = capsys.readouterr().out
    assert harmed.name in told and ("NOTEBOOKS=01" in told or harm is cut)
    monkeypatch.setattr(
        execute, "injected", lambda stem, *_: (_ for _ in ()).throw(StudyError(f"runs {stem}"))
    )
    with pytest.raises(StudyError, match="runs 01_good"):
        reproduce.reproduce(run, "01")


def test_two_runs_in_one_folder_do_not_collide(project):
    run = plan("toy", root=project, name="locked")
    run.build.mkdir(parents=True)
    with (
        FileLock(run.build / ".lock"),
        pytest.raises(StudyError, match="another run is working in build/locked"),
    ):
        reproduce.reproduce(run)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"profile": "toi"}, "did you mean 'toy'"),
        ({"profile": "toy", "exams": "/nowhere"}, "EXAMS=/nowhere: there is no such file"),
        ({"profile": "toy", "name": "../up"}, "letters, digits"),
    ],
)
def test_bad_requests_are_refused_before_anything_runs(project, options, message):
    with pytest.raises(StudyError, match=message):
        plan(root=project, **options)


def test_notebooks_run_beside_each_other_and_an_interrupt_ends_their_kernels(tmp_path, monkeypatch):
    for folder in ("notebooks", "params"):
        (tmp_path / folder).mkdir()
    shutil.copy(paths.root() / "params" / "demo.yaml", tmp_path / "params" / "toy.yaml")
    for stem in ("01_good", "02_bad"):
        endless = f"import os, time\nopen('{stem}.txt', 'w').write(str(os.getpid()))\ntime.sleep(600)"
        write_notebook(tmp_path, stem, new_code_cell(endless))
    monkeypatch.setenv("JUPYTER_PATH", "")
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(reproduce, "_at_once", lambda run: (2, {}))
    begun = [tmp_path / "01_good.txt", tmp_path / "02_bad.txt"]

    def interrupt():
        while not all(file.is_file() and file.read_text() for file in begun):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    # ignored where a shell put us in the background
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            reproduce.reproduce(plan("toy", root=tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)
    for file in begun:
        with suppress(psutil.NoSuchProcess):
            assert psutil.Process(int(file.read_text())).status() == psutil.STATUS_ZOMBIE, file
    assert set(statuses(tmp_path).values()) == {"not-run"}


def test_choosing_notebooks(project):
    run = plan("toy", root=project)
    assert [n.stem for n in run.choose("03, 01_good")] == ["01_good", "03_after"]
    assert [n.stem for n in run.choose("1")] == ["01_good"]  # and not 10 to 14
    with pytest.raises(StudyError, match="no notebook is called '7'. There are: 01_good"):
        run.choose("7")


def test_what_is_injected_are_the_sections_that_the_parameters_cell_names(project):
    profile = plan("toy", root=project).profile

    def injected(text):
        cell = new_code_cell(text, metadata={"tags": ["parameters"]})
        return execute.injected("01_good", new_notebook(cells=[cell]), profile)

    assert injected("study = {}\nranking: dict = {}") == {
        name: profile[name] for name in ("study", "ranking")
    }
    with pytest.raises(ParameterError, match="cell of 01_good: unknown key 'rankng'.*'ranking'"):
        injected("study = {}\nrankng = {}")
    with pytest.raises(ParameterError, match="cell of 01_good: 'study' is missing"):
        injected("ranking = {}")
    with pytest.raises(ParameterError, match="0 cells tagged 'parameters'"):
        execute.injected("01_good", new_notebook(), profile)


def test_another_value_runs_the_notebooks_that_read_its_section_and_no_other(project, monkeypatch):
    monkeypatch.setitem(sections.NOTEBOOKS, "03_after", ("ranking",))

    def keys(assignments):
        run = plan("toy", root=project, assignments=assignments)
        return {n.stem: n.parts["its parameters"] for n in run.notebooks}

    before, after = keys(""), keys("ranking.mass=normalised")
    assert [stem for stem in before if before[stem] != after[stem]] == ["03_after"]
    assert keys("ranking.mass=partial") == before
    with pytest.raises(ParameterError, match="SET: unknown key 'ranking.mas'.*'mass'"):
        keys("ranking.mas=normalised")


def test_command_line_reports_errors_in_one_message():
    done = CliRunner().invoke(main, ["reproduce", "--profile", "no-such-profile"])
    assert done.exit_code == 1 and "there is no profile 'no-such-profile'" in done.stderr


def test_a_kernel_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StudyError, match="no Jupyter kernel 'nowhere'. Known kernels: .*python3"):
        execute.prepare_kernel(tmp_path, "nowhere")


def test_a_row_without_a_path_names_nothing(tmp_path):
    table = tmp_path / "exams.csv"
    table.write_text("exam_id,path\na,\n")
    first = dependencies.exams_key(str(table))
    (tmp_path / "of nobody.txt").write_text("beside the table")
    assert dependencies.exams_key(str(table)) == first


def test_exams_key_sees_every_change(tmp_path):
    folder = tmp_path / "covid" / "P1"
    folder.mkdir(parents=True)
    (folder / "1.dcm").write_bytes(b"1")
    first = dependencies.exams_key(str(tmp_path))
    assert first == dependencies.exams_key(str(tmp_path))
    (folder / "2.dcm").write_bytes(b"2")
    second = dependencies.exams_key(str(tmp_path))
    (tmp_path / "exams.csv").write_text("exam_id,path\nP1,covid/P1\n")
    third = dependencies.exams_key(str(tmp_path / "exams.csv"))
    (folder / "2.dcm").write_bytes(b"22")
    assert len({first, second, third, dependencies.exams_key(str(tmp_path / "exams.csv"))}) == 4
    assert dependencies.exams_key(None) == "synthetic"
    whole = dependencies.exams_key(str(tmp_path / "covid"))
    assert dependencies.exams_key(str((tmp_path / "covid").rename(tmp_path / "moved"))) == whole
    folder = tmp_path / "moved" / "P1"
    (folder / "loop").symlink_to(folder)  # entered once
    # refused where it is read, and not walked through here
    (tmp_path / "around.csv").write_text("exam_id,path\nP1,/\n")
    assert dependencies.exams_key(str(tmp_path)) != dependencies.exams_key(str(tmp_path / "around.csv"))


def test_what_a_notebook_imports_is_everything_where_its_cells_cannot_be_parsed():
    whole = dependencies.imported({"cells": [{"cell_type": "code", "source": "+" * 100_000 + "1"}]})
    assert (
        whole == dependencies.imported({"cells": [{"cell_type": "code", "source": "(("}]})
        and "ct.dicom" in whole
    )
    long = f"from covid_study.ct.{'v' * 5000} import x"
    assert "ct" in dependencies.imported({"cells": [{"cell_type": "code", "source": long}]})


def test_code_key_sees_figures_but_not_the_runner(tmp_path, monkeypatch):
    package = tmp_path / "covid_study"
    package.mkdir()
    (package / "figures.py").write_text('"""Doc."""\nfrom covid_study import study\n')
    (package / "study.py").write_text("x = 1\n")
    monkeypatch.setattr(closure, "PACKAGE", package)

    def key():
        closure.parsed.cache_clear()
        return dependencies.code_key({"figures"})

    try:
        first = key()
        (package / "figures.py").write_text('"""Other doc."""\nfrom covid_study import study  # comment\n')
        assert key() == first
        (package / "study.py").write_text("x = 2\n")
        assert key() == first
        (package / "figures.py").write_text("from covid_study import study\ny = 1\n")
        assert key() != first
        (package / "figures.py").write_text("def (:\n")
        with pytest.raises(StudyError, match="figures.py, line 1"):
            key()
    finally:
        closure.parsed.cache_clear()


def test_display_line_tells_where_a_notebook_is(tmp_path):
    display = Display("[1/6] 01_x", tmp_path / "live.json", last_time=130)
    display.cell, display.cells = 5, 12
    (tmp_path / "live.json").write_text(
        json.dumps({"desc": "training", "done": 12, "total": 40, "left": 31.2})
    )
    assert display.line() == "[1/6] 01_x: cell 5 of 12, training 12/40 (0:31 left), 0:00 of about 2:10"


def test_an_edit_of_a_figure_runs_its_own_notebook_again_and_none_after_it(ran, tmp_path, monkeypatch):
    """On a copy of the real package: `01_good` draws, `02_bad` comes after it."""
    package = shutil.copytree(closure.PACKAGE, tmp_path / "covid_study")
    monkeypatch.setattr(closure, "PACKAGE", package)
    project = shutil.copytree(ran, tmp_path / "project")
    draws = new_code_cell("from covid_study.figures import curves\nfrom covid_study.scores import binary")
    write_notebook(project, "01_good", draws)

    def keys():
        closure.parsed.cache_clear()
        return {n.stem: n.parts for n in plan("toy", root=project).notebooks}

    def edit(module):
        before, file = keys(), closure.file_of(module)
        file.write_text(file.read_text() + "\nEDITED = 1\n")
        after = keys()
        return {stem for stem in after if after[stem] != before[stem]}

    assert edit("figures.curves") == {"01_good"}
    assert edit("scores.binary") >= {"01_good", "02_bad", "03_after"}
    closure.parsed.cache_clear()
