"""Write the dashboards into the chart, and their tables into the docs: `PYTHONPATH=scripts python -m dashboards`."""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import experiment, fleet, page

_ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = _ROOT / "charts" / "ticketsmith" / "dashboards"
PAGE: Final = _ROOT / "docs" / "dashboards.md"


def dashboards() -> dict[str, Dashboard]:
    """Both, by the name of their file."""
    return {"fleet": fleet.dashboard().build(), "experiment": experiment.dashboard().build()}


def text(dashboard: Dashboard) -> str:
    """The JSON of a dashboard, always the same for the same source."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def files() -> dict[Path, str]:
    """Everything that is made of the source."""
    built = dashboards()
    made = {FOLDER / f"{name}.json": text(one) for name, one in built.items()}
    return made | {PAGE: page.filled(PAGE.read_text(), built)}


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
