"""The charts as a release before this one could have been: made from today's, with what has come since taken away."""

import shutil
from pathlib import Path
from typing import Any

import yaml
from helm import CHARTS, Helm

VERSION = "0.0.9"
NEWER_FIELD = "retention"
"""A field of spec that the previous definition does not have."""


def previous_operator(folder: Path) -> Path:
    """The operator's chart, under an older version."""
    chart = folder / "ticketsmith"
    shutil.copytree(CHARTS / "ticketsmith", chart)
    _set_version(chart)
    return chart


def previous_definitions(helm: Helm, folder: Path) -> Path:
    """The definitions' chart, under an older version and without NEWER_FIELD."""
    chart = folder / "ticketsmith-crds"
    shutil.copytree(CHARTS / "ticketsmith-crds", chart)
    rendered = list(yaml.safe_load_all(helm.template("ticketsmith-crds", chart)))
    shutil.rmtree(chart / "templates")
    (chart / "templates").mkdir()
    for document in filter(None, rendered):
        _take_away(document)
        # Within a quoted string of its own, so that nothing in a description is taken for a template.
        text = yaml.safe_dump(document).replace("{{", '{{ "{{" }}')
        (chart / "templates" / f"{document['metadata']['name']}.yaml").write_text(text)
    _set_version(chart)
    return chart


def _take_away(definition: dict[str, Any]) -> None:
    for version in definition["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        del spec["properties"][NEWER_FIELD]


def _set_version(chart: Path) -> None:
    file = chart / "Chart.yaml"
    about = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(about | {"version": VERSION, "appVersion": VERSION}))
