"""The charts on clusters of their own, with what tests/cluster brings for that."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "cluster"))
sys.path.insert(0, str(Path(__file__).parent))
