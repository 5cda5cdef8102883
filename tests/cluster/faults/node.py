"""The node of the fault tests: its rounds end at once with plausible answers, unless they are held or misbehave."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from misbehaviour import Behaviour, Delay, Script
from pod_container import Resolver
from pod_status import End
from pod_work import Pretence, Work
from process_kubelet import ProcessKubelet
from simulated_answer import plausible_answer

from ticketsmith.experiment.contract import (
    ROUND_VARIABLE,
    BenchmarkRound,
    ReportRound,
    TrainRound,
    read_round,
    write_answer,
)

Round = TrainRound | BenchmarkRound | ReportRound


class Node(ProcessKubelet):
    """Serves many experiments side by side. A context manager."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        super().__init__(
            kubeconfig, folder, script=self._told, simulate=plausible_answer, longest_grace=0.2
        )
        self.scripts: dict[str, Script] = {}
        """By namespace, what its Pods are told to do."""
        self.held: set[tuple[str, str]] = set()
        """Experiment and round of the containers that do not end before they are taken out of here."""
        self.seconds = 0.02
        """What every container takes."""

    def _told(self, pod: Mapping[str, Any]) -> Behaviour:
        script = self.scripts.get(pod["metadata"]["namespace"])
        return script(pod) if script is not None else Delay(0.0)

    async def _work(self, resolver: Resolver, container: Mapping[str, Any], folder: Path) -> Work:
        told = (await resolver.environment(container)).get(ROUND_VARIABLE)
        if told is None:
            return await super()._work(resolver, container, folder)
        round_ = read_round(told)
        return _Held(self, round_, write_answer(plausible_answer(round_)))


class _Held(Pretence):
    """A round's container: ends well as soon as it is not held; stops at once when asked, as after a checkpoint."""

    def __init__(self, node: Node, round_: Round, answer: str) -> None:
        super().__init__(End(0, answer), None)
        self._node = node
        self._key = (round_.experiment, round_.name)

    async def wait(self) -> End:
        """How it ended."""
        await asyncio.sleep(self._node.seconds)
        while self._key in self._node.held:
            await asyncio.sleep(0.02)
        return self._end
