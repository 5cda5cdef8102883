"""The operator's flags as a page, made from its settings: python -m ticketsmith_operator.reference."""

from ticketsmith_operator.flags import flag
from ticketsmith_operator.settings import Settings

_HEAD = """\
<!-- Made by `make docs` from the operator's settings; do not edit. -->

# The operator's flags

`python -m ticketsmith_operator --help` prints them too; the chart's values are in [chart.md](../chart.md).
`--namespace` may be given several times. A switch has its opposite, as in `--no-leader-election`. Two
environment variables are read: `KUBECONFIG`, outside a cluster, and `POD_NAMESPACE`, the operator's own namespace.

| flag | default | what it says |
| --- | --- | --- |
"""


def reference() -> str:
    """The page, in Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        told = " ".join((field.description or "").split()).replace("|", "\\|")
        default = "" if field.default in ((), None, False) else f"`{field.default}`"
        rows.append(f"| `{flag(name)}` | {default} | {told} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    print(reference(), end="")
