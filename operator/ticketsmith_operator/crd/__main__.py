"""Write the manifest to standard output: `make crds` keeps it in crds/."""

import yaml

from ticketsmith_operator.crd.resource import definition

HEADER = (
    "# Made from the models in runner/ticketsmith/experiment by `make crds`; do not edit it here.\n"
)


def manifest() -> str:
    """The CustomResourceDefinition as YAML."""
    return HEADER + yaml.safe_dump(definition(), sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    print(manifest(), end="")
