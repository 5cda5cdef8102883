"""A run as progress bars: one for all rounds, and one for each that runs."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from ticketsmith.cli.pace import Pace
from ticketsmith.cli.plain import TOLD_OTHERWISE, done_line, share
from ticketsmith.cli.words import duration, percent
from ticketsmith.experiment.contract import RoundResult
from ticketsmith.experiment.decision import Event, Observed
from ticketsmith.experiment.results import Progress
from ticketsmith.experiment.status import Status
from ticketsmith.experiment.steps import Step

_STEPS = 1000
"""A bar's length in steps; shares are told as fractions."""


class BarsView:
    """Bars with level, epoch, loss, accuracy and time left; what is done scrolls away above them."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}"),
            _TimeLeft(),
            console=console,
            transient=True,
        )
        self._all = self._bars.add_task("all rounds", total=_STEPS, words="", left=None)
        self._rounds: dict[str, tuple[TaskID, Pace]] = {}
        self._pace = Pace()
        self._ended: list[Observed] = []
        self._settled, self._planned = 0, 0

    def __enter__(self) -> "BarsView":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def started(self, step: Step, attempt: int) -> None:
        """See View.started."""
        del attempt
        level = f" {percent(step.sparsity)} sparse" if step.sparsity else ""
        task = self._bars.add_task(f"{step.name}{level}", total=_STEPS, words="starting", left=None)
        self._rounds[step.name] = (task, Pace())

    def progressed(self, progress: Progress) -> None:
        """See View.progressed."""
        if progress.round not in self._rounds:
            return
        task, pace = self._rounds[progress.round]
        done = progress.iteration / progress.iterations if progress.iterations else 0.0
        left = pace.left(done, self._now()) if progress.doing == "training" else None
        self._bars.update(task, completed=done * _STEPS, words=_words(progress), left=left)
        self._show_all()

    def ended(self, seen: Observed) -> None:
        """See View.ended."""
        if seen.name in self._rounds:
            task, _ = self._rounds.pop(seen.name)
            self._bars.remove_task(task)
        self._ended.append(seen)

    def decided(self, status: Status) -> None:
        """See View.decided."""
        self._settled, self._planned = share(status)
        for seen in self._ended:
            if isinstance(seen.answer, RoundResult):
                self._print(f"{seen.name} | {done_line(seen, seen.answer, status)}")
        self._ended.clear()
        self._show_all()

    def happened(self, event: Event) -> None:
        """See View.happened."""
        if event.reason not in TOLD_OTHERWISE:
            self._print(
                f"{event.reason}: {event.message}", "yellow" if event.kind == "Warning" else ""
            )

    def stopping(self, signal_name: str) -> None:
        """See View.stopping."""
        self._print(
            f"{signal_name}: stopping; running rounds keep a checkpoint (once more: at once)"
        )

    def _show_all(self) -> None:
        """The whole run's bar counts the finished part of running rounds too, so that it moves steadily."""
        if not self._planned:
            return
        tasks = {task.id: task for task in self._bars.tasks}
        running = sum(tasks[task].completed for task, _ in self._rounds.values()) / _STEPS
        done = min(1.0, (self._settled + running) / self._planned)
        self._bars.update(
            self._all,
            completed=done * _STEPS,
            words=f"{self._settled}/{self._planned} rounds",
            left=self._pace.left(done, self._now()),
        )

    def _print(self, line: str, style: str = "") -> None:
        self._bars.console.print(Text(line, style=style), soft_wrap=True)


class _TimeLeft(ProgressColumn):
    def render(self, task: Task) -> Text:
        left = task.fields["left"]
        return Text("" if left is None else f"{duration(left)} left", style="cyan")


def _words(progress: Progress) -> str:
    parts = []
    if progress.iterations:
        parts.append(f"epoch {progress.epoch:.3g}/{progress.epochs:.3g}")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.3f}")
    if progress.accuracy is not None:
        parts.append(f"val acc {percent(progress.accuracy)}")
    return "  ".join(parts) if progress.doing == "training" and parts else progress.doing
