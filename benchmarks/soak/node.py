"""The soak's node: rounds take some seconds, and any of its containers can be struck."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from misbehaviour import Behaviour, Delay, Exit, Interruption, Lose
from pod_container import Resolver
from pod_work import Work
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer

WRONG = (Exit(1, "boom"), Exit(137, ""), Exit(0, "no answer at all"), Exit(0, ""))
"""How a container may end instead of doing its duty."""


class SoakNode(ProcessKubelet):
    """Plays all Pods of the soak. A context manager."""

    def __init__(
        self, kubeconfig: Path, folder: Path, seconds: tuple[float, float], dice: Random
    ) -> None:
        super().__init__(
            kubeconfig, folder, script=self._told, simulate=plausible_answer, longest_grace=0.5
        )
        self.spoilt: set[str] = set()
        """Pods (uids) that were told to end wrongly, or to vanish: what they say does not count."""
        self.to_spoil = 0
        """How many of the next Pods are to end wrongly."""
        self._range = seconds
        self._dice = dice

    def strike(self, how: Interruption, dice: Random) -> str | None:
        """Let something happen to one running container; the uid of its experiment, None if none runs."""

        async def one() -> str | None:
            lives = [life for life, _ in self._lives.values()]
            running = [life for life in lives if life.ran.started and life.ran.ended is None]
            if not running:
                return None
            struck = dice.choice(running)
            struck.interrupt(how)
            if isinstance(
                how, Lose
            ):  # should it end well at this very moment, nobody will hear of that
                self.spoilt.add(struck.ran.pod_uid)
            return struck.ran.experiment

        return self._wait(one())

    def _told(self, pod: Mapping[str, Any]) -> Behaviour:
        if self.to_spoil <= 0:
            return Delay(0.0)
        self.to_spoil -= 1
        self.spoilt.add(pod["metadata"]["uid"])
        return self._dice.choice(WRONG)

    async def _work(self, resolver: Resolver, container: Mapping[str, Any], folder: Path) -> Work:
        self._seconds = self._dice.uniform(*self._range)
        return await super()._work(resolver, container, folder)
