"""RO-Crate and Croissant as their specifications ask: what they demand is there, and every reference leads somewhere."""

import csv
import hashlib
import json
from datetime import datetime

import pytest

from covid_study.study import beside, crate


@pytest.fixture
def found(whole):
    beside.write(whole)
    return {name: json.loads((whole.reports / name).read_text()) for name in (crate.RUN, crate.COHORT)}


def references(value):
    """Every {"@id": ...} that points at another entity."""
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_crate_describes_files_that_are_there_and_refers_to_nothing_else(whole, found):
    graph = found[crate.RUN]["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    assert (
        len(by_id) == len(graph) and found[crate.RUN]["@context"] == "https://w3id.org/ro/crate/1.1/context"
    )
    assert all({"@id", "@type"} <= set(entity) for entity in graph)
    assert set(references(graph)) - set(by_id) == {"https://w3id.org/ro/crate/1.1"}
    about, root = by_id["ro-crate-metadata.json"], by_id["./"]
    assert about["about"] == {"@id": "./"} and root["@type"] == "Dataset"
    assert {"name", "description", "datePublished", "license"} <= set(root)
    files = {entity["@id"] for entity in graph if entity["@type"] == "File"}
    assert files == {part["@id"] for part in root["hasPart"]} >= {"results.zip", "04_ranking_ablation.html"}
    assert all((whole.reports / name).is_file() for name in files - {"index.html"})


def test_pictures_of_the_user_are_published_under_no_terms_of_ours(whole):
    whole.profile["slices"]["images"] = "/data/pictures"
    root = next(e for e in json.loads(crate.of_run(whole, []))["@graph"] if e["@id"] == "./")
    assert root["license"] == crate.UNKNOWN and "pictures" in root["description"]


def test_the_crate_is_a_process_run(found):
    graph = {entity["@id"]: entity for entity in found[crate.RUN]["@graph"]}
    assert graph[graph["./"]["conformsTo"]["@id"]]["@type"] == "CreativeWork"
    actions = [graph[action["@id"]] for action in graph["./"]["mentions"]]
    assert len(actions) == 2 and all(action["@type"] == "CreateAction" for action in actions)
    for action in actions:
        assert graph[action["instrument"]["@id"]]["@type"] == "SoftwareSourceCode"
        took = datetime.fromisoformat(action["endTime"]) - datetime.fromisoformat(action["startTime"])
        assert took.total_seconds() == 3600 and graph[action["result"]["@id"]]["@type"] == "File"
        assert {graph[of["@id"]]["@type"] for of in action["object"]} == {"PropertyValue"}


def test_the_croissant_describes_the_cohort_that_lies_beside_it(whole, found):
    dataset, table = found[crate.COHORT], (whole.reports / "cohort.csv").read_bytes()
    assert dataset["conformsTo"] == "http://mlcommons.org/croissant/1.0" and dataset["@type"] == "sc:Dataset"
    assert {"name", "description", "license", "datePublished", "version"} <= set(dataset)
    (file,), (records,) = dataset["distribution"], dataset["recordSet"]
    assert file["contentUrl"] == "cohort.csv" and file["sha256"] == hashlib.sha256(table).hexdigest()
    columns = next(csv.reader(table.decode().splitlines()))
    assert [field["source"]["extract"]["column"] for field in records["field"]] == columns
    ids = {file["@id"], records["@id"], *(field["@id"] for field in records["field"])}
    assert set(references(dataset)) <= ids and records["key"]["@id"] == "exams/exam_id"
    assert {key for field in records["field"] for key in field} <= {
        *dataset["@context"],
        "@id",
        "@type",
        "name",
        "description",
    }


def test_of_exams_of_peoples_own_no_place_and_no_licence_is_told(whole):
    whole.profile["cohort"]["exams"] = "/secret/exams.csv"
    texts = crate.of_run(whole, []), crate.of_cohort(whole, "", [])
    assert not any("secret" in text or "spdx" in json.loads(text).get("license", "") for text in texts)
    graph = {entity["@id"]: entity for entity in json.loads(texts[0])["@graph"]}
    assert graph["./"]["license"] == json.loads(texts[1])["license"] == crate.UNKNOWN
