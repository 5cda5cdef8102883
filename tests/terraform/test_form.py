"""The Terraform examples are well-formed, documented, and use what their providers have.

`terraform validate` runs in the workflow, where the providers can be had. Here their recorded schemas stand in for it.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terraform_modules import FOLDER, NAMES, Module

from ticketsmith import __version__

SCHEMAS = json.loads(Path(__file__).with_name("schemas.json").read_text())
# What Terraform itself gives every resource.
META = {"count", "for_each", "depends_on", "lifecycle", "provider"}

pytestmark = pytest.mark.parametrize(
    "module", [Module(name) for name in NAMES], ids=lambda m: m.name
)


def test_it_is_formatted(module: Module) -> None:
    """By `terraform fmt` where there is one: PyPI and Debian carry none, and the workflow has it."""
    for file in sorted(module.folder.iterdir()):
        text = file.read_text()
        assert text.endswith("\n")
        assert not re.search(r"[ \t]+$|\t|\n\n\n", text, re.MULTILINE), file
    if terraform := shutil.which("terraform"):
        done = subprocess.run(
            [terraform, "fmt", "-check", "-diff", "-recursive", module.folder],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_providers_are_pinned_to_what_was_looked_at(module: Module) -> None:
    (terraform,) = module.blocks["terraform"]
    assert re.fullmatch(r"~> \d+\.\d+", terraform["required_version"])
    (providers,) = terraform["required_providers"]
    for name, pin in providers.items():
        assert pin["source"] == f"hashicorp/{name}"
        recorded = SCHEMAS[name]["version"].rpartition(".")[0]
        assert pin["version"] == f"~> {recorded}"
    assert not list(module.folder.glob("*.tfstate*")), "a state holds secrets, and is nobody else's"
    assert "backend" not in terraform, "whoever copies this says where its state is kept"


def test_every_argument_is_one_that_its_provider_has(module: Module) -> None:
    wrong: list[str] = []
    for item in module.items:
        schema = SCHEMAS[item.type.partition("_")[0]][item.kind].get(item.type)
        assert schema is not None, f"{item.type} is not recorded: run record_schemas.py"
        body = {name: value for name, value in item.body.items() if name not in META}
        wrong += [f"{item}: {one}" for one in _disagreements(body, schema["arguments"])]
    assert wrong == []


def _disagreements(body: dict[str, Any], arguments: dict[str, Any]) -> Iterator[str]:
    dynamic = {
        name: content
        for one in body.get("dynamic", [])
        for name, inner in one.items()
        for content in inner["content"]
    }
    for name, value in (body | dynamic).items():
        if name == "dynamic":
            continue
        if name not in arguments:
            yield f"there is no {name}"
        elif isinstance(arguments[name], list) and not isinstance(value, str):
            for block in value if isinstance(value, list) else [value]:
                for one in _disagreements(block, arguments[name][1]):
                    yield f"{name}: {one}"
    for name, told in arguments.items():
        required = told[0] if isinstance(told, list) else told
        if required and name not in body and name not in dynamic:
            yield f"{name} must be there"


def test_what_is_read_of_a_resource_is_there_to_be_read(module: Module) -> None:
    there = {(item.kind, item.type, item.name) for item in module.items}
    pattern = r"\b(data\.)?((?:google|azurerm)_\w+)\.(\w+)(?:\[\d+\])?(?:\.(\w+))?"
    found = re.findall(pattern, _code(module))
    assert found
    for data, type_, name, attribute in found:
        kind = "data" if data else "resource"
        assert (kind, type_, name) in there, f"{type_}.{name}"
        if attribute:
            attributes = SCHEMAS[type_.partition("_")[0]][kind][type_]["attributes"]
            assert attribute in attributes, f"{type_}.{name}.{attribute}"


def test_variables_and_locals_are_declared_and_used(module: Module) -> None:
    code = _code(module)
    for prefix, declared in (
        ("var", set(module.named("variable"))),
        ("local", {name for block in module.blocks.get("locals", []) for name in block}),
    ):
        assert set(re.findall(rf"\b{prefix}\.(\w+)", code)) == declared
    for name in module.named("variable"):
        outside = "\n".join(
            file.read_text() for file in module.folder.glob("*.tf") if file.name != "variables.tf"
        )
        assert re.search(rf"\bvar\.{name}\b", outside), f"{name} is checked, and used nowhere"


def test_variables_are_described_typed_and_checked(module: Module) -> None:
    for name, body in module.named("variable").items():
        assert len(body["description"]) > 20, name
        assert body["description"].endswith("."), name
        assert "type" in body, name
        if body["type"] in {"${bool}", "bool"}:
            continue
        for check in body["validation"]:
            assert check["condition"], name
            assert name in check["error_message"], (
                f"{name}: a mistake is told by the name of the field"
            )


def test_outputs_are_described_and_say_what_comes_next(module: Module) -> None:
    outputs = module.named("output")
    assert all(len(body["description"]) > 20 for body in outputs.values())
    commands = outputs["next"]["value"]
    for word in (
        "get-credentials",
        "helm install ticketsmith ",
        "ticketsmith-crds",
        "kubectl apply",
    ):
        assert word in commands
    files = re.findall(r"examples/\S+\.yaml", commands)
    assert len(files) >= 3
    assert [file for file in files if not (FOLDER.parents[1] / file).exists()] == []


def test_nothing_of_ours_is_in_it(module: Module) -> None:
    """No project, subscription, account or address of anybody's; nor a version, which the charts have."""
    assert __version__ not in module.text.replace("~> ", "")
    for name, body in module.named("variable").items():
        if name in {"project_id", "subscription_id", "storage_account", "api_server_ranges"}:
            assert "default" not in body, f"{name} is everybody's own"
    assert not re.search(r"\b[0-9a-f]{8}-[0-9a-f]{4}-", _code(module))
    assert not re.search(r"projects/[a-z0-9]", _code(module).replace("projects/${", ""))


def test_the_example_of_its_variables_is_right(module: Module) -> None:
    text = (module.folder / "terraform.tfvars.example").read_text()
    named = set(re.findall(r"^(?:# )?(\w+) +=", text, re.MULTILINE))
    variables = module.named("variable")
    assert named <= set(variables)
    assert {name for name, body in variables.items() if "default" not in body} <= named


def _code(module: Module) -> str:
    """Without comments and descriptions, in which words are just words."""
    kept = (
        line
        for line in module.text.splitlines()
        if not re.match(r"\s*(#|description\b|error_message\b)", line)
    )
    return "\n".join(kept)
