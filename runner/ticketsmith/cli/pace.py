"""How much longer something will take, judged by how fast it went."""

import math


class Pace:
    """Time left of work whose done share is told now and then. The clock is handed in.

    Work that was done before the first telling (answered from the store, or resumed) says nothing about speed.
    """

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def left(self, share: float, now: float) -> float | None:
        """Seconds left when `share` in [0, 1] is done at `now`; None while nobody can know."""
        if self._first is None:
            self._first = (share, now)
            return None
        begun, since = self._first
        if share <= begun or now <= since:
            return None
        left = (1.0 - share) * (now - since) / (share - begun)
        return left if math.isfinite(left) else None
