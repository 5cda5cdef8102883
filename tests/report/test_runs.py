import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ticketsmith.experiment.ledger import write as ledger_line
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.spec import PruningExperiment
from ticketsmith.report.runs import find_runs, load_run, load_runs

Make = Callable[..., Path]


def store_of(path: Path) -> Path:
    return path.parent / "store"


def key_of(path: Path, name: str) -> str:
    rounds = json.loads((path / "resource.json").read_text())["status"]["rounds"]
    return next(known["key"] for known in rounds if known["name"] == name)


def test_runs_are_found_below_a_prefix(make_run: Make) -> None:
    first, second = make_run(name="b-run"), make_run(name="a-run")
    assert find_runs(first.parent) == [second, first]
    assert find_runs(first) == [first]


def test_a_prefix_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="no run below"):
        find_runs(tmp_path)
    with pytest.raises(BadSpec, match="no run below"):
        find_runs(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="is not a run"):
        load_run(tmp_path)


@pytest.mark.parametrize("text", ["{", "{}", '{"metadata": {"name": "x"}, "spec": {"modle": {}}}'])
def test_a_damaged_resource_is_told(make_run: Make, text: str) -> None:
    path = make_run()
    (path / "resource.json").write_text(text)
    with pytest.raises(BadSpec, match=r"resource\.json is damaged or from another version"):
        load_run(path)


def test_a_missing_store_is_told(make_run: Make) -> None:
    path = make_run()
    store_of(path).rename(path.parent / "elsewhere")
    with pytest.raises(BadSpec, match="is missing or empty"):
        load_run(path)


def test_the_store_is_where_artifacts_uri_says(make_run: Make) -> None:
    path = make_run()
    moved = store_of(path).rename(path.parent / "elsewhere")
    resource = json.loads((path / "resource.json").read_text())
    resource["spec"]["artifacts"] = {"uri": moved.as_uri()}
    (path / "resource.json").write_text(json.dumps(resource))
    assert all(known.result for known in load_run(path).rounds)


def test_a_damaged_result_is_noted_and_left_out(make_run: Make) -> None:
    path = make_run()
    key = key_of(path, "ticket-s0-l02")
    (store_of(path) / key / "result.json").write_text('{"key": 3}')
    run = load_run(path)
    assert any("result.json of ticket-s0-l02 is damaged" in note for note in run.notes)
    assert sum(known.result is None for known in run.rounds) == 1


def test_half_a_line_of_metrics_is_no_matter_while_a_round_runs(make_run: Make) -> None:
    path = make_run()
    file = store_of(path) / key_of(path, "dense-s0") / "metrics.jsonl"
    whole = file.read_text()
    file.write_text(whole + '{"iteration": 52')
    assert any("metrics.jsonl of dense-s0" in note for note in load_run(path).notes)
    resource = json.loads((path / "resource.json").read_text())
    resource["status"]["rounds"][0]["state"] = "Running"
    (path / "resource.json").write_text(json.dumps(resource))
    run = load_run(path)
    assert not any("metrics.jsonl" in note for note in run.notes)
    dense = next(known for known in run.rounds if known.status.name == "dense-s0")
    assert len(dense.evaluations) == len(whole.splitlines())


def test_rounds_in_the_ledger_are_read_too(make_run: Make) -> None:
    path = make_run()
    experiment = PruningExperiment.model_validate_json((path / "resource.json").read_text())
    assert experiment.status is not None
    shown, filed = experiment.status.rounds[:5], experiment.status.rounds[5:]
    lines = tuple(ledger_line(known, "accuracy") for known in filed)
    status = experiment.status.model_copy(update={"rounds": shown, "ledger": lines})
    short = experiment.model_copy(update={"status": status})
    before = load_run(path)
    (path / "resource.json").write_text(json.dumps(short.document()))
    after = load_run(path)
    assert [known.result for known in after.rounds] == [known.result for known in before.rounds]
    assert after.benchmarks == before.benchmarks


def test_pictures_that_do_not_match_their_hash_are_not_shown(make_run: Make) -> None:
    path = make_run()
    assert load_run(path).samples_of == "ticket-s0-l04"
    file = store_of(path) / key_of(path, "ticket-s0-l04") / "samples.safetensors"
    file.write_bytes(file.read_bytes() + b" ")
    run = load_run(path)
    assert run.samples_of == "dense-s0"


def test_an_experiment_without_status_has_no_rounds(make_run: Make) -> None:
    path = make_run()
    resource = json.loads((path / "resource.json").read_text())
    del resource["status"]
    (path / "resource.json").write_text(json.dumps(resource))
    assert load_run(path).rounds == ()


def test_runs_of_one_name_get_labels_of_their_own(make_run: Make, tmp_path: Path) -> None:
    path = make_run()
    (tmp_path / "copy").mkdir()
    path.parent.rename(tmp_path / "first")
    path = tmp_path / "first" / path.name
    second = tmp_path / "copy" / path.name
    second.mkdir()
    (second / "resource.json").write_bytes((path / "resource.json").read_bytes())
    (tmp_path / "copy" / "store").symlink_to(tmp_path / "first" / "store")
    assert [run.label for run in load_runs([path, second])] == [
        f"first-{path.name}",
        f"copy-{path.name}",
    ]
