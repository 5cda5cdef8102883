"""The demo's package, importable as `make cluster-demo` has it."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "tests/cluster"):
    sys.path.insert(0, str(ROOT / folder))
