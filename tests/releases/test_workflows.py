"""The workflows: what linters find, and the rules that docs/releases.md promises."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)

# Who may write where. Everything else reads.
WRITES = {
    ("images", "publish"): {"packages", "id-token", "attestations"},
    ("release", "images"): {"packages", "id-token", "attestations"},
    ("release", "charts"): {"packages", "id-token", "attestations"},
    ("release", "pypi"): {"id-token", "attestations"},
    ("release", "announce"): {"contents"},
    ("docs", "publish"): {"pages", "id-token"},
}


def read(file: Path) -> dict[str, Any]:
    """A workflow. YAML 1.1 takes the key `on` for a truth."""
    document = yaml.safe_load(file.read_text())
    return {"on" if key is True else key: value for key, value in document.items()}


def jobs(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from read(file)["jobs"].items()


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for _, job in jobs(file):
        yield from job.get("steps", ())


def test_they_are_the_ones_that_were_promised() -> None:
    assert [file.stem for file in FILES] == ["ci", "docs", "images", "release", "terraform"]


def test_actionlint_finds_nothing(actionlint: Path) -> None:
    done = subprocess.run(
        [actionlint, "-no-color", *FILES], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing() -> None:
    """With the pickiest of its personas, and without asking GitHub anything."""
    zizmor = Path(sys.executable).with_name("zizmor")
    done = subprocess.run(
        [zizmor, "--offline", "--persona", "pedantic", "--no-progress", ROOT / ".github"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "No findings to report" in done.stdout + done.stderr


def test_what_zizmor_is_told_to_overlook() -> None:
    """Two things, each said where it is done and why."""
    overlooked = [
        (file.stem, rule)
        for file in FILES
        for rule in re.findall(r"zizmor: ignore\[([\w,-]+)\]", file.read_text())
    ]
    assert overlooked == [("ci", "unpinned-images"), ("release", "self-repository")]


@EACH
def test_actions_are_pinned_by_their_commit_and_say_their_version(file: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", file.read_text(), re.MULTILINE)
    assert used
    for one in used:
        ours = one.startswith("./.github/workflows/")
        assert ours or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one


def test_an_action_has_one_pin_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for file in FILES:
        for name, pin in re.findall(r"uses: ([\w./-]+)@(.+)$", file.read_text(), re.MULTILINE):
            pins.setdefault(name, set()).add(pin)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


@EACH
def test_nobody_has_rights_that_they_do_not_need(file: Path) -> None:
    assert read(file)["permissions"] == {}
    for name, job in jobs(file):
        permissions = job["permissions"]
        writes = {right for right, level in permissions.items() if level == "write"}
        assert writes == WRITES.get((file.stem, name), set()), name
        assert set(permissions.values()) <= {"read", "write"}


@EACH
def test_there_is_no_secret(file: Path) -> None:
    """GitHub's own token is `github.token`; PyPI, Google and Sigstore believe the workflow's OIDC token."""
    text = file.read_text()
    assert "secrets." not in text
    assert "secrets:" not in text
    assert not re.search(
        r"credentials_json|service_account_key|client-secret|password: (?!\$\{\{ github\.token)",
        text,
    )


@EACH
def test_nothing_is_left_in_the_checkout(file: Path) -> None:
    for step in steps(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@EACH
def test_scripts_are_given_what_they_need_by_their_environment(file: Path) -> None:
    for step in steps(file):
        assert "${{" not in step.get("run", ""), step["name"]


@EACH
def test_a_failure_in_a_pipe_is_a_failure(file: Path) -> None:
    assert read(file)["defaults"]["run"]["shell"] == "bash"
    for _, job in jobs(file):
        if "defaults" in job:
            assert job["defaults"]["run"]["shell"] == "bash"


@EACH
def test_every_job_ends_and_none_runs_twice(file: Path) -> None:
    assert read(file)["concurrency"]["group"]
    for name, job in jobs(file):
        assert "uses" in job or job["timeout-minutes"] <= 90, name
        assert job["name"], name


@EACH
def test_nothing_runs_with_rights_for_a_strangers_code(file: Path) -> None:
    assert set(read(file)["on"]).isdisjoint(
        {"pull_request_target", "workflow_run", "issue_comment"}
    )


def test_what_is_published_uses_no_cache() -> None:
    for name in ("images", "release"):
        text = (FOLDER / f"{name}.yml").read_text()
        assert "actions/cache" not in text
        assert "cache-from" not in text
    (build,) = (
        step
        for step in steps(FOLDER / "images.yml")
        if step.get("uses", "").startswith("docker/build-push-action")
    )
    assert build["with"]["no-cache"] is True


def test_images_have_their_provenance_their_contents_and_a_signature() -> None:
    job = dict(jobs(FOLDER / "images.yml"))["publish"]
    by_action = {step["uses"].partition("@")[0]: step for step in job["steps"] if "uses" in step}
    build = by_action["docker/build-push-action"]["with"]
    assert (build["provenance"], build["sbom"]) == ("mode=max", True)
    signed = by_action["actions/attest"]["with"]
    assert signed["subject-digest"] == "${{ steps.build.outputs.digest }}"
    assert signed["push-to-registry"] is True
    images = {one["image"] for one in job["strategy"]["matrix"]["include"]}
    assert {f"Dockerfile.{image}" for image in images} == {
        file.name for file in ROOT.glob("Dockerfile.*")
    }


def test_google_is_signed_in_to_by_federation_alone() -> None:
    (google,) = (
        step
        for step in steps(FOLDER / "images.yml")
        if step.get("uses", "").startswith("google-github-actions/auth")
    )
    assert google["with"] == {
        "workload_identity_provider": "${{ vars.GOOGLE_WORKLOAD_IDENTITY_PROVIDER }}",
        "create_credentials_file": False,
    }
    guide = (ROOT / "docs" / "cloud" / "gke.md").read_text()
    outputs = (ROOT / "examples" / "terraform" / "gke" / "outputs.tf").read_text()
    for variable in re.findall(r"vars\.(\w+)", (FOLDER / "images.yml").read_text()):
        assert f"gh variable set {variable} " in guide
        assert f"{variable} " in outputs


def test_a_release_goes_from_what_can_be_mended_to_what_cannot() -> None:
    release = dict(jobs(FOLDER / "release.yml"))

    def before(name: str) -> set[str]:
        needs = release[name].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*(before(one) for one in direct))

    assert before("images") == {"check"}
    assert {"images"} <= before("charts")
    assert {"images", "charts", "package"} <= before("pypi")
    assert set(release) - {"announce"} == before("announce")
    assert release["pypi"]["environment"] == "pypi"


def test_ci_is_what_anybody_can_run() -> None:
    everything = dict(jobs(FOLDER / "ci.yml"))["everything"]
    scripts = "\n".join(step.get("run", "") for step in everything["steps"])
    assert ".ci/run" in scripts
    assert ".github/data/fetch" in scripts
    assert "TICKETSMITH_DATA" in scripts
    assert "--privileged" in everything["container"]["options"]


def test_terraform_is_validated_where_its_providers_are() -> None:
    (job,) = (job for _, job in jobs(FOLDER / "terraform.yml"))
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert [script.split()[1] for script in scripts] == ["fmt", "init", "validate"]
    assert "-backend=false" in scripts[1]
    examples = sorted(folder.name for folder in (ROOT / "examples" / "terraform").iterdir())
    assert sorted(job["strategy"]["matrix"]["example"]) == examples


def test_dependabot_looks_after_every_kind_of_pin() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    kinds = {update["package-ecosystem"] for update in updates}
    assert kinds == {"github-actions", "pip", "docker", "gomod", "terraform"}
    for update in updates:
        assert update["cooldown"]["default-days"] >= 7
        for folder in [update["directory"]] if "directory" in update else update["directories"]:
            assert list(ROOT.glob(folder.strip("/") or "*")), folder
