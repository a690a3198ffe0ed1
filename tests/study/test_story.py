"""Five sentences, each of claims of the run: their verdict, their number, and nothing that the run did not say."""

from covid_study.scores import claims
from covid_study.study import scoreboard
from covid_study.study.story import SENTENCES, story


def test_every_sentence_is_made_of_claims_that_there_are():
    assert len(SENTENCES) == 5 and {key for keys in SENTENCES.values() for key in keys} <= set(claims.read())


def test_a_sentence_has_the_verdicts_and_numbers_of_the_run(whole):
    told = {sentence["about"]: sentence["claims"] for sentence in story(scoreboard.rows(whole))}
    first, second = told["Selection"]
    assert (first["verdict"], first["number"]) == ("holds", "F1 +5.0 points (95 % +1.0 to +9.0)")
    assert second["number"] == "F1 2.00 × (95 % 1.50 × to 2.50 ×)" and second["text"].startswith("all ")
    (ahead,) = told["Self-adaptive loss"]
    assert (ahead["verdict"], ahead["number"], ahead["text"]) == ("open", "no number", "DSN-SAAL is ahead")
    assert [about for about, lines in told.items() if not lines] == ["Ranking", "Pre-training", "Imbalance"]


def test_a_notebook_that_is_stale_says_nothing(whole):
    whole.notebooks[1].page.unlink()
    assert not any(sentence["claims"] for sentence in story(scoreboard.rows(whole)))
