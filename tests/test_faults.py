"""The list of faults stands: each can be planted in the code as it is, and names tests that there are (`make faults`)."""

import faults
import yaml

from covid_study import paths


def test_every_fault_can_be_planted():
    listed = yaml.safe_load((paths.root() / "tests" / "faults.yaml").read_text(encoding="utf-8"))
    assert len({fault["name"] for fault in listed}) == len(listed) > 200
    for fault in listed:
        faults.place(paths.root() / "covid_study", fault)
        assert fault["new"] != fault["old"], fault["name"]
        files = [word.partition("::")[0] for word in fault["tests"].split()]
        assert files and all((paths.root() / file).exists() for file in files), fault["name"]
