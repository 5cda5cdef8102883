"""unrenderable: one sentence for what a cluster cannot carry out, and none for what it can."""

from typing import Any

import pytest
from golden_jobs import as_read

from ticketsmith_operator.render.job import unrenderable

CLAIMED = {"uri": "file:///artifacts", "persistentVolumeClaim": "work"}


def told(artifacts: Any = CLAIMED, **runner: Any) -> str | None:
    spec = {"model": {"name": "lenet300"}, "artifacts": artifacts, "runner": runner}
    document = {
        "apiVersion": "ticketsmith.dev/v1alpha1",
        "kind": "PruningExperiment",
        "metadata": {"name": "trial"},
        "spec": spec,
    }
    return unrenderable(as_read(document))


def volume(path: str = "/data", name: str = "data", **source: Any) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **(source or {"persistentVolumeClaim": "datasets"})}


@pytest.mark.parametrize(
    ("artifacts", "words"),
    [
        (None, ["spec.artifacts is missing", "gs://bucket/prefix"]),
        ({"uri": "runs/store"}, ["spec.artifacts.uri is 'runs/store'", "persistentVolumeClaim"]),
        ({"uri": "/artifacts", "persistentVolumeClaim": "c"}, ["'/artifacts'", "file:///"]),
        ({"uri": "file://host/x", "persistentVolumeClaim": "c"}, ["'file://host/x'", "file:///"]),
        ({"uri": "s3://bucket/x"}, ["'s3://bucket/x'", "gs://bucket/prefix"]),
        ({"uri": "file:///artifacts"}, ["'file:///artifacts'", "add persistentVolumeClaim"]),
        ({"uri": "gs://"}, ["names no bucket"]),
        ({"uri": "gs://b/x", "persistentVolumeClaim": "c"}, ["no persistentVolumeClaim (c)"]),
        ({"uri": "file:///a:b", "persistentVolumeClaim": "c"}, ["'file:///a:b'", "colon"]),
        ({"uri": "file:///a%3Ab", "persistentVolumeClaim": "c"}, ["colon"]),
        ({"uri": "file:///", "persistentVolumeClaim": "c"}, ["spec.artifacts", "at /"]),
        ({"uri": "file:///scratch/x", "persistentVolumeClaim": "c"}, ["/scratch/x", "overlaps"]),
    ],
)
def test_artifacts_that_no_other_round_could_read_are_refused(
    artifacts: Any, words: list[str]
) -> None:
    sentence = told(artifacts)
    assert sentence is not None
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ([volume("/")], ["spec.runner.volumes[0]", "mounted at /,"]),
        ([volume("/dev/shm")], ["/dev/shm", "container's own"]),  # noqa: S108
        ([volume("//proc")], ["/proc", "container's own"]),
        ([volume("/sys/")], ["/sys", "container's own"]),
        ([volume("/data/../dev")], ["/dev", "container's own"]),
        ([volume("/scratch")], ["/scratch", "the scratch volume"]),
        ([volume("/artifacts/")], ["/artifacts", "spec.artifacts"]),
        ([volume("/artifacts/in")], ["/artifacts/in", "overlaps /artifacts of spec.artifacts"]),
        (
            [volume("/a/b", "x"), volume("/a", "y", secret="s")],  # noqa: S106
            ["spec.runner.volumes[1]", "overlaps /a/b of spec.runner.volumes[0]"],
        ),
        ([volume("/a"), volume("/b", configMap="c")], ["volumes[1] has the name data"]),
        (
            [volume("/a", persistentVolumeClaim="work")],
            ["the claim work again", "spec.artifacts mounts at /artifacts"],
        ),
        ([volume("/a", "x"), volume("/b", "y")], ["volumes[1] mounts the claim datasets again"]),
    ],
)
def test_volumes_that_get_in_each_other_s_way_are_refused(
    volumes: list[dict[str, Any]], words: list[str]
) -> None:
    sentence = told(volumes=volumes)
    assert sentence is not None
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    "volumes",
    [
        [],
        [volume("/data"), volume("/database", "y", configMap="c")],
        [volume("/scratchpad")],
        [volume("/device")],
        [volume("/a", "x", secret="s"), volume("/b", "y", secret="s")],  # noqa: S106
    ],
)
def test_volumes_side_by_side_are_mounted(volumes: list[dict[str, Any]]) -> None:
    assert told(volumes=volumes) is None


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (
            {"requests": {"nvidia.com/gpu": 1}},
            ["requests.nvidia.com/gpu is 1", "missing", "under limits"],
        ),
        (
            {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}},
            ["requests.nvidia.com/gpu is 1", "limit is 2"],
        ),
        ({"requests": {"nvidia.com/gpu": 0}}, ["requests.nvidia.com/gpu is 0", "missing"]),
        ({"requests": {"example.com/nic": 1}}, ["requests.example.com/nic is 1", "missing"]),
        ({"limits": {"nvidia.com/gpu": "500m"}}, ["500m", "whole", "write 1"]),
        (
            {"requests": {"memory": "2Gi"}, "limits": {"memory": "2G"}},
            ["requests.memory is 2Gi", "more than its limit 2G"],
        ),
        ({"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}, ["requests.cpu is 2", "1500m"]),
    ],
)
def test_resources_that_contradict_each_other_are_refused(
    resources: dict[str, Any], words: list[str]
) -> None:
    sentence = told(resources=resources)
    assert sentence is not None
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    "resources",
    [
        {"requests": {"cpu": "1000m"}, "limits": {"cpu": 1}},
        {"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": "1"}},
        {"requests": {"memory": "1Gi"}},
    ],
)
def test_resources_that_agree_are_taken(resources: dict[str, Any]) -> None:
    assert told(resources=resources) is None
