"""What a container can be told to do instead of its duty, and to which one it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pod_history import identity


@dataclass(frozen=True)
class Delay:
    """Do the duty, but start so many seconds late."""

    seconds: float


@dataclass(frozen=True)
class Exit:
    """Do nothing; end with that code and termination message."""

    code: int
    message: str = ""
    after: float = 0.0


def answer(text: str) -> Exit:
    """Do nothing; end well with that answer."""
    return Exit(0, text)


@dataclass(frozen=True)
class AnswerTwice:
    """Do nothing; end well with one answer, then say that it was another."""

    first: str
    second: str


@dataclass(frozen=True)
class Hang:
    """Do nothing, for ever; SIGTERM is ignored."""


@dataclass(frozen=True)
class NeverStart:
    """The container waits for that reason until its Pod is deleted."""

    reason: str = "ImagePullBackOff"
    message: str = 'Back-off pulling image: "no such image"'


@dataclass(frozen=True)
class Evict:
    """After so many seconds of duty the node is short of something: SIGTERM, DisruptionTarget, phase Failed."""

    after: float = 0.0


@dataclass(frozen=True)
class Oom:
    """After so many seconds of duty the kernel kills it: exit code 137, OOMKilled."""

    after: float = 0.0


@dataclass(frozen=True)
class Lose:
    """After so many seconds of duty the Pod vanishes: it is deleted by force, its words are lost."""

    after: float = 0.0


Interruption = Evict | Oom | Lose
Behaviour = Delay | Exit | AnswerTwice | Hang | NeverStart | Interruption


class Script:
    """Behaviours by (round, attempt): of its first Pod, of its second, ...; the Pods after them do their duty.

    A Pod that is none of ours has its Job's name as round, and attempt 1.
    """

    def __init__(self, lines: Mapping[tuple[str, int], Behaviour | Sequence[Behaviour]]) -> None:
        self._left = {
            key: list(told) if isinstance(told, Sequence) else [told] for key, told in lines.items()
        }

    def __call__(self, pod: Mapping[str, Any]) -> Behaviour:
        """What this Pod is to do. Each line is spoken once."""
        left = self._left.get(identity(pod)[1:])
        return left.pop(0) if left else Delay(0.0)
