"""Writes schemas.json: which arguments, blocks and attributes the resources of the examples have, by their providers.

`terraform validate` knows that from the providers themselves, which are programs of their own and not to be had
everywhere. HashiCorp's bindings for Python describe the same; this reads the description in them:

    pip download --no-deps cdktf-cdktf-provider-google==16.12.1 cdktf-cdktf-provider-azurerm==14.23.1
    python tests/terraform/record_schemas.py cdktf_cdktf_provider_*.whl
"""

import gzip
import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from terraform_modules import NAMES, Item, Module

TARGET = Path(__file__).with_name("schemas.json")


class Bindings:
    """What one wheel says of its provider."""

    def __init__(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as outer:
            (inner,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(outer.read(inner)))) as package:
                self._types = json.loads(_read(package, "package/.jsii"))["types"]
                told = _read(package, "package/lib/provider/index.js").decode()
        self.version = _found(r"providerVersion: '([\d.]+)'", told)
        self.provider = _found(r"terraformResourceType: '(\w+)'", told)

    def schema(self, item: Item) -> dict[str, Any]:
        """Arguments of a resource or data source, and the attributes that can be read from it."""
        prefix = "Data" if item.kind == "data" else ""
        words = item.type.split("_")
        name = prefix + "".join(word.capitalize() for word in (words if prefix else words[1:]))
        (config,) = (type_ for type_ in self._types if type_.endswith(f".{name}Config"))
        names = {
            _snake(one["name"]) for one in self._types[config.removesuffix("Config")]["properties"]
        }
        return {
            "arguments": self._arguments(config),
            "attributes": sorted(name for name in names if not name.endswith("_input")),
        }

    def _arguments(self, type_: str) -> dict[str, Any]:
        """By name: whether it must be there, or [that, its own arguments] of a block."""
        arguments: dict[str, Any] = {}
        for one in self._types[type_]["properties"]:
            # Every argument links to its own documentation, under the name that Terraform has for it.
            linked = re.search(r"/docs/\S+#(\w+) ", json.dumps(one.get("docs")))
            if linked is None:
                continue
            inner = re.findall(r'"fqn": "(@cdktf/[^"]+)"', json.dumps(one["type"]))
            blocks = [name for name in inner if self._types[name]["kind"] == "interface"]
            required = not one.get("optional", False)
            arguments[linked[1]] = [required, self._arguments(blocks[0])] if blocks else required
        return dict(sorted(arguments.items()))


def _read(package: tarfile.TarFile, name: str) -> bytes:
    file = package.extractfile(name)
    assert file is not None
    return file.read()


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return found[1]


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def _main(wheels: list[str]) -> None:
    recorded = {}
    for bindings in (Bindings(Path(wheel)) for wheel in wheels):
        used = {
            (item.kind, item.type): item
            for name in NAMES
            for item in Module(name).items
            if item.type.startswith(f"{bindings.provider}_")
        }
        recorded[bindings.provider] = {
            "version": bindings.version,
            **{
                kind: {
                    type_: bindings.schema(item)
                    for (of, type_), item in sorted(used.items())
                    if of == kind
                }
                for kind in ("data", "resource")
            },
        }
    # A line a resource, so that a change of one is seen.
    text = json.dumps(recorded, separators=(",", ":"))
    TARGET.write_text(re.sub(r'(?=")("\w+_\w+":\{"arguments")', r"\n\1", text) + "\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
