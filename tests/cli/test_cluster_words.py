"""Sentences about clusters: how a server refuses, which round's log is meant, why there is none, what changed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ticketsmith.cli.logs import choose_attempt, choose_round, render, why_silent
from ticketsmith.cli.where import is_local
from ticketsmith.cluster.connect import NoCluster, Wanted, connect
from ticketsmith.cluster.follow import PATIENCE_SECONDS, states
from ticketsmith.cluster.logs import Bookmark, unread
from ticketsmith.cluster.problems import Asked, ClusterProblem, problem
from ticketsmith.cluster.resource import Seen, look
from ticketsmith.cluster.submit import changed
from ticketsmith.experiment.decision import Event
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.status import RoundStatus

SERVER = "https://10.0.0.1:6443"


def said(message: str, **details: Any) -> str:
    return json.dumps({"kind": "Status", "message": message, "details": details})


FORBIDDEN = 'pods is forbidden: User "ann" cannot list resource "pods" in the namespace "lab"'
IMMUTABLE = 'PruningExperiment.ticketsmith.dev "trial" is invalid: spec.model: model is immutable'
CONFLICT = {
    "reason": "FieldManagerConflict",
    "message": 'conflict with "argocd-controller" using ticketsmith.dev/v1alpha1',
    "field": ".spec.suspend",
}


# HTTP status, body, exit code, words of the sentence
@pytest.mark.parametrize(
    ("code", "body", "exits", "words"),
    [
        (401, said("Unauthorized"), 3, [SERVER, "credentials", "log in"]),
        (
            403,
            said(FORBIDDEN),
            3,
            ["(ann)", "patch", "pruningexperiments", "lab", "ticketsmith-user"],
        ),
        (403, said("exceeded quota: count/pex"), 2, ["exceeded quota"]),
        (404, "404 page not found\n", 3, [SERVER, "does not know PruningExperiments", "crds/"]),
        (404, said("the server could not find the requested resource"), 3, ["crds/"]),
        (404, said("x", kind="namespaces", name="lab"), 2, ["no namespace lab", "-n"]),
        (404, said("x", kind="pruningexperiments", name="trial"), 2, ["lab has no", "trial"]),
        (409, said("Apply failed", causes=[CONFLICT]), 2, ["spec.suspend", "argocd-controller"]),
        (409, said("the object has been modified"), 3, ["409", "try again"]),
        (422, said(IMMUTABLE), 2, ["refuses it: spec.model: model is immutable"]),
        (500, "<html>a proxy's page</html>", 3, [SERVER, "500"]),
        (503, said("etcdserver: leader changed"), 3, ["leader changed"]),
    ],
)
def test_a_refusal_is_one_sentence(code: int, body: str, exits: int, words: list[str]) -> None:
    found = problem(Asked(SERVER, "patch", "pruningexperiments", "lab", "trial"), code, body)
    assert (found.code, found.exit_code) == (code, exits)
    assert "\n" not in str(found)
    for word in words:
        assert word in str(found)


def known(name: str, state: str, attempts: int = 1, message: str | None = None) -> RoundStatus:
    return RoundStatus.model_validate(
        {"name": name, "arm": "dense", "state": state, "attempts": attempts, "message": message}
    )


@pytest.mark.parametrize(
    ("states", "wanted", "chosen"),
    [
        (["Done", "Running", "Failed"], None, "r1"),
        (["Done", "Failed", "Done"], None, "r1"),
        (["Done", "Waiting", "Done"], None, "r1"),
        (["Done", "Done"], None, "r0"),
        (["Done", "Running"], "r0", "r0"),
    ],
)
def test_the_round_a_reader_means(states: list[str], wanted: str | None, chosen: str) -> None:
    rounds = [known(f"r{number}", state) for number, state in enumerate(states)]
    assert choose_round(rounds, wanted, "trial").name == chosen


def test_a_round_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadSpec, match="no round yet"):
        choose_round([], None, "trial")
    with pytest.raises(BadSpec, match="did you mean ticket-s0-l01"):
        choose_round([known("ticket-s0-l01", "Done")], "ticket-s0-101", "trial")


def test_the_latest_attempt_is_meant_unless_another_is_named() -> None:
    one = known("r", "Done", attempts=3)
    assert [choose_attempt(one, wanted) for wanted in (None, "2", "all")] == [3, 2, None]
    for wrong in ("0", "4", "two", "-1"):
        with pytest.raises(BadSpec, match="attempts 1 to 3"):
            choose_attempt(one, wrong)


WAITING = {"reason": "ImagePullBackOff", "message": "no such image"}


@pytest.mark.parametrize(
    ("pods", "one", "words"),
    [
        ([], known("r", "Running"), "no Pod yet"),
        (
            [],
            known("r", "Failed", message="exit code 4: memory"),
            "gone with its Pod; its last words were: exit",
        ),
        ([], known("r", "Done"), "gone with its Pod; it is Done"),
        ([{"status": {}}], known("r", "Running"), "has printed nothing"),
        (
            [{"status": {"containerStatuses": [{"state": {"waiting": WAITING}}]}}],
            known("r", "Running"),
            "has not started: ImagePullBackOff: no such image",
        ),
        (
            [
                {
                    "status": {
                        "conditions": [
                            {"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}
                        ]
                    }
                }
            ],
            known("r", "Running"),
            "has not started: 0/3 nodes",
        ),
    ],
)
def test_a_log_that_is_not_there_says_why(pods: list[Any], one: RoundStatus, words: str) -> None:
    assert words in why_silent(pods, one, 1)


def test_a_log_that_went_with_its_job_names_the_field_that_had_it_go() -> None:
    words = "gone with its Job, as spec.retention.ttlSecondsAfterFinished is 0; it is Done"
    assert words in why_silent([], known("r", "Done"), 1, ttl=0)


def test_only_lines_of_progress_are_rendered() -> None:
    told = '{"round":"r","doing":"training","epoch":1,"epochs":2,"loss":0.5}'
    assert render(told) == "r | Epoch 1/2 | Loss: 0.500"
    assert render('{"round":"r","doing":"loading"}') == "r | Loading"
    for other in ("plain", "{", '{"other": 1}', "[1]", ""):
        assert render(other) == other


def test_a_log_taken_up_again_tells_each_line_once() -> None:
    lines = [
        ("1:00Z", "a"),
        ("1:00.5Z", "b"),
        ("1:00.5Z", "c"),
        ("1:00.25Z", "late"),
        ("1:01Z", "d"),
    ]
    mark = Bookmark()
    assert list(unread(lines[:2], mark)) == ["a", "b"]
    assert list(unread(lines, mark)) == ["c", "d"]
    assert list(unread(lines, mark)) == []


def test_what_changed_between_two_documents_is_named_by_path() -> None:
    before = {"spec": {"limits": {"retries": 2, "parallelism": 1}, "seeds": [0]}}
    after = {"spec": {"limits": {"retries": 2, "parallelism": 3}, "seeds": [0], "suspend": True}}
    assert sorted(changed(before, after)) == ["spec.limits.parallelism", "spec.suspend"]
    assert list(changed(before, before)) == []


def test_a_name_is_a_run_directory_if_such_a_folder_exists_or_it_could_be_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert [is_local(name, None) for name in ("here", "there", "runs/there", "There_1")] == [
        True,
        False,
        True,
        True,
    ]
    assert not is_local("here", False)
    assert is_local("there", True)


# --- which cluster -------------------------------------------------------------------------------
CONFIG = """\
current-context: {current}
contexts:
- {{name: one, context: {{cluster: a, user: u, namespace: lab}}}}
- {{name: two, context: {{cluster: b, user: u}}}}
clusters:
- {{name: a, cluster: {{server: 'https://a'}}}}
- {{name: b, cluster: {{server: 'https://b'}}}}
users: [{{name: u, user: {user}}}]
"""


def kubeconfig(path: Path, current: str = "one", user: str = "{token: a-secret}") -> Path:
    path.write_text(CONFIG.format(current=current, user=user))
    return path


def test_the_kubeconfig_decides_what_the_flags_leave_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = kubeconfig(tmp_path / "first"), kubeconfig(tmp_path / "second", "two")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{second}")
    found = [
        connect(wanted)
        for wanted in (
            Wanted(),
            Wanted(context="two"),
            Wanted(namespace="mine"),
            Wanted(kubeconfig=second),
        )
    ]
    assert [(one.configuration.host, one.namespace) for one in found] == [
        ("https://a", "lab"),
        ("https://b", "default"),
        ("https://a", "mine"),
        ("https://b", "default"),
    ]
    assert "a-secret" not in str(found[0].context)


@pytest.mark.parametrize(
    ("user", "current", "words"),
    [
        ("{exec: {apiVersion: v1, command: /bin/false}}", "one", "login command of context one"),
        ("{token: x}", "three", "three"),
        ("{token: x}", "''", "chooses no context"),
        ("[", "one", "cannot be used"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_told_in_one_sentence(
    tmp_path: Path, user: str, current: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = kubeconfig(tmp_path / "config", current, user)
    with pytest.raises((NoCluster, BadSpec), match=words) as raised:
        connect(Wanted(kubeconfig=file))
    assert "\n" not in str(raised.value)


def test_a_kubeconfig_that_is_named_but_not_there() -> None:
    with pytest.raises(BadSpec, match="--kubeconfig is nowhere: there is no such file"):
        connect(Wanted(kubeconfig=Path("nowhere")))


def test_without_the_kubernetes_client_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    with pytest.raises(ClusterProblem, match=r"pip install 'ticketsmith\[cluster\]'"):
        connect(Wanted())


# --- watching ------------------------------------------------------------------------------------
class Silent:
    """A cluster that answers as it is told to, one look after the other."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def experiment(self, name: str) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def watch(self, body: Any) -> Iterator[tuple[str, Any]]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield from answer


def body(phase: str, uid: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": "trial", "uid": uid}, "status": {"phase": phase}}


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds


def seen(*answers: object) -> list[str]:
    """What a watch tells while the cluster gives these answers."""
    clock = Clock()
    told: list[str] = []
    first: Seen = look(body("Pending"))
    try:
        for news in states(Silent(*answers), first, clock, clock.pause):  # type: ignore[arg-type]
            phase = news.reason if isinstance(news, Event) else news.body["status"]["phase"]
            told += [phase]
    except IndexError:  # it has no more answers
        return told
    except ClusterProblem as ended:
        return [*told, f"! {ended}"]


def test_a_watch_reads_anew_after_every_gap() -> None:
    gone = ClusterProblem("too old", 410)
    assert seen(
        body("Running"), [("MODIFIED", body("Suspended"))], body("Running"), gone, body("Succeeded"), []
    ) == ["Running", "Suspended", "Running", "Succeeded"]  # fmt: skip


def test_a_silent_cluster_is_told_of_once_and_once_it_is_back() -> None:
    silence = ClusterProblem("no answer")
    assert seen(body("Running"), silence, silence, silence, body("Running"), []) == [
        "Running",
        "ClusterLost",
        "ClusterBack",
        "Running",
    ]


def test_a_cluster_that_stays_silent_ends_the_watch() -> None:
    silence = [ClusterProblem("no answer")] * int(PATIENCE_SECONDS * 2)
    assert seen(body("Running"), *silence)[-1] == "! no answer"


@pytest.mark.parametrize("event", ["DELETED", "MODIFIED"])
def test_an_experiment_that_was_deleted_or_made_anew_ends_the_watch(event: str) -> None:
    last = seen(body("Running"), [(event, body("Running", uid="1" if event == "DELETED" else "2"))])
    assert last[-1].startswith("! trial was deleted")
