"""`rank` and `select` on files of features: the numbers of the study's own functions, in pieces as whole, resumable."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from commands import call

from covid_study.ranking import DualTrackUnderSampler, archive
from covid_study.ranking.order_free import OrderFree
from covid_study.ranking.rank import rank_negatives, soft_labels
from covid_study.ranking.rivals import RIVALS
from covid_study.ranking.sampling import select
from covid_study.tables import volume_steps

TRACKS = [
    "difficulty",
    "diversity",
    "diversity_error",
    "difficulty_rank",
    "diversity_rank",
    "joint",
    "joint_rank",
]
SMALL = 7  # rows of a slab


@pytest.fixture
def cohort():
    """30 exams in no order, 6 of them positive, with a centre and an age."""
    rng = np.random.default_rng(0)
    names = [f"e{number:03d}" for number in rng.permutation(30)]
    values = rng.gamma(2, size=(30, 5))
    values[:6] += [0, 3, 3, 0, 0]
    table = pd.DataFrame(values, pd.Index(names, name="exam_id"), [f"f{i}" for i in range(5)])
    return table.assign(finding=["covid"] * 6 + ["cap"] * 24, centre=list("xxxyyz") * 5)


@pytest.fixture
def file(cohort, tmp_path):
    cohort.to_parquet(tmp_path / "features.parquet")
    return tmp_path / "features.parquet"


def sides(cohort):
    features = cohort[[f"f{i}" for i in range(5)]].sort_index()
    positive = cohort["finding"].sort_index() == "covid"
    return features[positive], features[~positive]


def ranked(file, *options, name="ranking.parquet"):
    out = file.with_name(name)
    call("rank", file, "--positives", "finding=covid", "-o", out, *options)
    assert not list(out.parent.glob(f".{name}*"))  # nothing is left of the work
    return pd.read_parquet(out) if out.suffix == ".parquet" else pd.read_csv(out, index_col=0)


def same(found, expected):
    pd.testing.assert_frame_equal(found[TRACKS], expected[TRACKS], rtol=1e-12, check_names=False)


@pytest.mark.parametrize("mass", ["partial", "normalised"])
@pytest.mark.parametrize("distance", ["emd", "order_free", "euclidean", "cosine", "hellinger"])
def test_it_ranks_as_the_study_does(cohort, file, tmp_path, distance, mass):
    rule = {"distance": distance, "mass": mass, "alpha": 0.3, "beta": 0.7, "diversity_pairs": 10**6}
    p = SimpleNamespace(study=SimpleNamespace(executor="in_process"))
    v = SimpleNamespace(table=cohort.assign(split="train"), device="cpu")
    names = [f"f{i}" for i in range(5)]
    (study := tmp_path / "study").mkdir()
    volume_steps.rank_archive(p, v, study, rule, lambda exams: cohort.loc[exams, names].to_numpy())
    expected = pd.read_parquet(study / "ranking.parquet")
    options = ["--distance", distance, "--mass", mass, "--alpha", 0.3, "--beta", 0.7]
    same(ranked(file, *options, name="mine.parquet"), expected)


@pytest.mark.parametrize("without", ["channels", "positives"])
def test_each_order_can_be_done_without(cohort, file, without):
    expected = OrderFree(*sides(cohort)).without(without)
    same(ranked(file, "--distance", "order_free", "--without", without), expected)


def test_it_ranks_as_the_under_sampler_does(cohort, file):
    table = cohort.sort_index()
    sampler = DualTrackUnderSampler(random_state=0)
    sampler.fit_resample(table[[f"f{i}" for i in range(5)]].to_numpy(), table["finding"] == "cap")
    expected = sampler.ranking_.set_axis(table.index[sampler.ranking_.index])
    found = ranked(file)
    same(found, expected)
    chosen = {table.index[row] for row in sampler.sample_indices_} - set(
        table.index[table["finding"] == "covid"]
    )
    assert len(chosen) == 6 and chosen <= set(found.index)


@pytest.mark.parametrize("distance", ["emd", "cosine", "hellinger"])
@pytest.mark.parametrize("mass", ["partial", "normalised"])
@pytest.mark.parametrize("pairs", [24 * 8, 10**6])
def test_in_pieces_the_numbers_are_the_same(cohort, file, monkeypatch, distance, mass, pairs):
    near, far = sides(cohort)
    labels = soft_labels(near, far, mass, distance=distance)
    expected = rank_negatives(labels, mass=mass, distance=distance, diversity_pairs=pairs)
    if pairs < 24 * 23 / 2 and distance == "hellinger":
        assert (expected["diversity_error"] > 0).any()
    monkeypatch.setattr(archive, "SLAB", SMALL)
    same(ranked(file, "--distance", distance, "--mass", mass, "--pairs", pairs), expected)


def test_an_exam_like_every_positive_is_ranked_in_pieces_too(tmp_path, monkeypatch):
    values = np.array([[1.0, 2], [1, 2], [1, 2], [3, 1], [0, 4], [5, 5], [2, 1]])
    frame = pd.DataFrame(values, [f"e{i}" for i in range(7)], ["a", "b"]).assign(
        finding=["covid"] * 2 + ["cap"] * 5
    )
    frame.to_parquet(tmp_path / "features.parquet")
    labels = soft_labels(frame.iloc[:2, :2], frame.iloc[2:, :2], distance="hellinger")
    assert not labels.loc["e2"].any()
    monkeypatch.setattr(archive, "SLAB", 2)
    for seed in range(3):  # four of five are met
        expected = rank_negatives(labels, distance="hellinger", diversity_pairs=9, seed=seed)
        found = ranked(tmp_path / "features.parquet", "--distance", "hellinger", "--pairs", 9, "--seed", seed)
        same(found, expected)
    labels = soft_labels(frame.iloc[:2, :2], frame.iloc[2:, :2], "normalised")
    found = ranked(tmp_path / "features.parquet", "--mass", "normalised")
    same(found, rank_negatives(labels, mass="normalised"))


def test_stopped_it_goes_on(file, monkeypatch):
    expected, asked = ranked(file, name="other.parquet"), []

    def stopped(positives, negatives, *args, **how):
        asked.append(negatives.index[0])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return soft_labels(positives, negatives, *args, **how)

    monkeypatch.setattr(archive, "SLAB", SMALL)
    monkeypatch.setattr(archive, "soft_labels", stopped)
    out = file.with_name("ranking.parquet")
    call("rank", file, "--positives", "finding=covid", "-o", out, code=130)
    assert not out.exists()
    same(ranked(file), expected)
    assert len(asked) == 5 and asked[2] == asked[3]  # four slabs, the third asked for twice


def test_other_columns_go_along_and_what_is_no_feature_is_named(cohort, file):
    found = ranked(file)
    assert found["centre"].equals(cohort["centre"].loc[found.index])
    assert found.attrs["ranked"]["columns"] == [f"f{i}" for i in range(5)]
    some = ranked(file, "--columns", "f[0-2]", "--columns", "f4")
    same(some, rank_negatives(soft_labels(*(side.drop(columns="f3") for side in sides(cohort)))))


def test_every_kind_of_file_gives_the_same(cohort, file, tmp_path):
    expected, names = ranked(file), [f"f{i}" for i in range(5)]
    cohort.to_csv(tmp_path / "features.csv", sep=";")
    same(ranked(tmp_path / "features.csv"), expected)
    np.save(tmp_path / "features.npy", cohort[names].to_numpy())
    cohort[["finding"]].to_csv(tmp_path / "exams.csv")
    same(ranked(tmp_path / "features.npy", "--ids", tmp_path / "exams.csv"), expected)
    positives = tmp_path / "positives.txt"
    positives.write_text("exam_id\n" + "\n".join(cohort.index[:6]) + "\n")
    pd.Series(cohort.index, name="exam_id").to_csv(tmp_path / "ids.csv", index=False)
    npy = ["rank", tmp_path / "features.npy", "--positives", positives, "-o", tmp_path / "npy.csv"]
    call(*npy, "--ids", tmp_path / "ids.csv")
    same(pd.read_csv(tmp_path / "npy.csv", index_col=0), expected)
    assert "--ids" in call(*npy, code=1).stderr
    pd.Series(cohort.index[:9], name="exam_id").to_csv(tmp_path / "ids.csv", index=False)
    assert "9 rows" in call(*npy, "--ids", tmp_path / "ids.csv", code=1).stderr
    call("rank", file, "--positives", positives, "-o", tmp_path / "mine.csv")
    same(pd.read_csv(tmp_path / "mine.csv", index_col=0), expected)


def test_ids_that_look_like_numbers_stay_as_they_are(cohort, tmp_path):
    table = cohort.set_axis([f"{number:03d}" for number in range(30)]).rename_axis("exam_id")
    table.to_csv(tmp_path / "features.csv")
    out = tmp_path / "ranking.csv"
    call("rank", tmp_path / "features.csv", "--positives", "finding=covid", "-o", out)
    call("select", out, "-n", 3, "--strategy", "top", "-o", tmp_path / "chosen.csv")
    assert pd.read_csv(tmp_path / "chosen.csv", dtype=str)["exam_id"].str.fullmatch(r"\d{3}").all()


def test_dask_gives_the_same(file, monkeypatch):
    expected = ranked(file)
    monkeypatch.setattr(archive, "SLAB", 16)
    same(ranked(file, "--executor", "dask", name="mine.parquet"), expected)


def test_it_answers_programs(file):
    done = call("rank", file, "--positives", "finding=covid", "-o", file.with_name("r.parquet"), "--json")
    found = json.loads(done.stdout)
    assert (found["exams"], found["positives"], found["features"]) == (24, 6, 5) and len(found["best"]) == 5
    assert "reading features" in done.stderr
    first = pd.read_parquet(found["ranking"])["joint_rank"].idxmin()
    assert found["best"][0] == first


def damaged(cohort, what):
    table, exam = cohort.copy(), cohort.index[16]
    features = [f"f{i}" for i in range(5)]
    if what == "twice":
        return table.rename({exam: cohort.index[3]})
    if what == "no id":
        return table.rename({exam: ""})
    table.loc[exam, features if what == "empty" else "f2"] = {
        "negative": -0.5,
        "missing": np.nan,
        "infinite": np.inf,
    }.get(what, 0.0)
    return table


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("what", ["negative", "missing", "infinite", "empty", "twice", "no id"])
def test_a_bad_row_is_named(cohort, tmp_path, what, ending):
    file, table = tmp_path / f"features.{ending}", damaged(cohort, what)
    table.to_csv(file) if ending == "csv" else table.to_parquet(file)
    said = call("rank", file, "--positives", "finding=covid", "-o", tmp_path / "r.csv", code=1).stderr
    named = {"twice": ["rows 4 and 17", cohort.index[3]], "no id": ["row 17"]}
    assert all(word in said for word in named.get(what, ["row 17", cohort.index[16]])), said
    assert what in ("empty", "twice", "no id") or "f2" in said
    assert not (tmp_path / "r.csv").exists()


def test_a_table_of_features_alone_is_ranked(cohort, tmp_path):
    cohort[["f0", "f1"]].to_parquet(tmp_path / "features.parquet")
    positives = tmp_path / "positives.txt"
    for number, code in ((6, 0), (30, 1)):
        positives.write_text("\n".join(cohort.index[:number]))
        call(
            "rank",
            tmp_path / "features.parquet",
            "--positives",
            positives,
            "-o",
            tmp_path / "r.csv",
            code=code,
        )
        assert len(pd.read_csv(tmp_path / "r.csv")) == 24


def test_rows_longer_than_the_first_line_are_refused(tmp_path):
    """Else each value would stand one column beside its name."""
    for ending in (",covid", ""):
        (tmp_path / "f.csv").write_text(f"exam_id,f1,f2\na,1,2,{ending}\nb,3,4,{ending}\n")
        words = ["rank", tmp_path / "f.csv", "--positives", "f1=1", "-o", tmp_path / "r.csv"]
        assert "more fields" in call(*words, code=1).stderr


def test_a_list_of_positives_in_another_encoding_names_what_it_lacks(file, tmp_path):
    (tmp_path / "p.txt").write_bytes(b"e001\nex\xe4m\n")
    words = ["rank", file, "--positives", tmp_path / "p.txt", "-o", tmp_path / "r.csv"]
    assert "line 2" in call(*words, code=1).stderr


def test_what_is_slow_is_kept_by_blocks(cohort, tmp_path):
    for without in ("channels", "positives", "both"):
        near, far = sides(cohort)
        np.save(tmp_path / "far.npy", far.to_numpy())
        rule = archive.Rule("order_free", without, "normalised")
        made = archive._Ranking(far.index, near, tmp_path / "far.npy", rule, tmp_path, "in_process", "cpu")
        assert made.on["blocks"] is not None, without


def test_text_among_numbers_is_named(cohort, tmp_path):
    table = cohort.astype({"f1": object})
    table.iloc[20, 1] = "n.a."
    pd.concat([cohort.set_axis([f"z{i}-{n}" for i in range(30)]) for n in range(50)] + [table]).rename_axis(
        "exam_id"
    ).to_csv(tmp_path / "features.csv")
    said = call(
        "rank", tmp_path / "features.csv", "--positives", "finding=covid", "-o", tmp_path / "r.csv", code=1
    ).stderr
    assert "row 1521" in said and cohort.index[20] in said and "f1" in said


@pytest.mark.parametrize(
    ("positives", "word"), [("finding=tuberculosis", "covid, cap"), ("diagnosis=covid", "centre"), ("listed", "line 3: e999")]
)  # fmt: skip
def test_positives_that_are_not_found_are_named(cohort, file, tmp_path, positives, word):
    if positives == "listed":
        positives = tmp_path / "positives.csv"
        positives.write_text(f"exam_id\n{cohort.index[0]}\ne999\n")
    assert word in call("rank", file, "--positives", positives, "-o", tmp_path / "r.csv", code=1).stderr


# ------------------------------------------------------------------------------------------------ select


@pytest.mark.parametrize("strategy", ["long_tail", "normal", "top", "random"])
def test_a_strategy_is_that_of_the_study(file, strategy):
    ranking, out = ranked(file), file.with_name("chosen.csv")
    done = call("select", file.with_name("ranking.parquet"), "-n", 8, "--strategy", strategy, "--by", "difficulty", "--seed", 3,
                "-o", out, "--json")  # fmt: skip
    expected = select(ranking, strategy, 8, 3, "difficulty")
    assert json.loads(done.stdout)["exams"] == expected
    found = pd.read_csv(out, index_col=0)
    assert list(found.index) == expected and np.allclose(
        found["difficulty"], ranking.loc[expected, "difficulty"]
    )


@pytest.mark.parametrize("rival", [name for name in RIVALS if name != "stratified"])
def test_a_rival_picks_by_the_same_features(cohort, file, rival):
    ranking, (near, far) = ranked(file), sides(cohort)
    done = call(
        "select",
        file.with_name("ranking.parquet"),
        "-n",
        8,
        "--rival",
        rival,
        "-o",
        file.with_name("c.parquet"),
        "--json",
    )
    assert json.loads(done.stdout)["exams"] == RIVALS[rival](far, near, 8, 0, ranking["difficulty"])


@pytest.mark.parametrize(
    "how", [["--strategy", "normal", "--width", 0.01], ["--rival", "ccs"], ["--strategy", "top"]]
)
def test_every_stratum_keeps_its_share(file, how):
    ranking, out = ranked(file), file.with_name("chosen.csv")
    call("select", file.with_name("ranking.parquet"), "-n", 12, "--stratify", "centre", *how, "-o", out)
    found = pd.read_csv(out, index_col=0)
    assert found["centre"].value_counts().to_dict() == {"x": 6, "y": 4, "z": 2}  # 12, 8 and 4 of 24
    of_x = ranking["joint_rank"][ranking["centre"] == "x"].sort_values().index
    expected = {"top": of_x[:6], "normal": of_x[3:9]}.get(how[1])  # the best, those in the middle
    assert expected is None or set(found.index[found["centre"] == "x"]) == set(expected)


def test_what_is_no_rank_stays_as_it_is_written(cohort, tmp_path):
    cohort.assign(patient_id=[f"{n:04d}" for n in range(30)]).to_parquet(tmp_path / "f.parquet")
    call(
        "rank",
        tmp_path / "f.parquet",
        "--positives",
        "finding=covid",
        "--columns",
        "f*",
        "-o",
        tmp_path / "r.csv",
    )
    call("select", tmp_path / "r.csv", "-n", 4, "-o", tmp_path / "c.csv")
    assert pd.read_csv(tmp_path / "c.csv", dtype=str)["patient_id"].str.len().eq(4).all()


def test_features_that_changed_since_are_refused(cohort, file):
    ranked(file)
    cohort.assign(f0=1.0).to_parquet(file)
    words = ["select", file.with_name("ranking.parquet"), "-n", 2, "--rival", "ccs"]
    assert "rank it again" in call(*words, code=1).stderr


def test_weights_that_weigh_nothing_are_refused(file):
    words = ["rank", file, "--positives", "finding=covid", "-o", file.with_name("r.csv")]
    for alpha in (0, "nan"):
        assert "--alpha" in call(*words, "--alpha", alpha, "--beta", 0, code=2).stderr


def test_select_says_what_is_wrong(file, tmp_path):
    ranked(file)
    ranking = file.with_name("ranking.parquet")
    assert "24" in call("select", ranking, "-n", 25, code=1).stderr
    assert "centre" in call("select", ranking, "-n", 2, "--stratify", "hospital", code=1).stderr
    assert "difficulty" in call("select", file, "-n", 2, code=1).stderr
    call("rank", file, "--positives", "finding=covid", "-o", tmp_path / "r.csv")
    assert "Parquet" in call("select", tmp_path / "r.csv", "-n", 2, "--rival", "ccs", code=1).stderr
    file.unlink()
    assert str(file) in call("select", ranking, "-n", 2, "--rival", "ccs", code=1).stderr
