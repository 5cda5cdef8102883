"""How far an experiment is, and what it has won: what the status is written from."""

from dataclasses import dataclass

from ticketsmith.experiment.best import Ticket, choose, kept
from ticketsmith.experiment.book import Book
from ticketsmith.experiment.gates import ranking_metric
from ticketsmith.experiment.steps import BENCHMARK, REPORT, Step
from ticketsmith.experiment.survey import Survey, survey


@dataclass(frozen=True, slots=True)
class Standing:
    """The rounds, sorted out before anything is started in this call."""

    training: Survey
    tickets: tuple[Ticket, ...]
    """Those that passed."""
    chosen: Ticket | None
    """The best of them."""
    training_over: bool = False
    """No training round runs or will be started."""
    benchmark_cut: bool = False
    """The benchmark was wanted but did not fit the budget."""

    @property
    def cut_by_budget(self) -> bool:
        left = self.training_over and bool(self.training.ready or self.training.later)
        return left or self.benchmark_cut


def stand(book: Book, steps: tuple[Step, ...]) -> Standing:
    metric = ranking_metric(book.spec.gates)
    tickets = kept(book.rounds, metric)
    return Standing(survey(steps, book.rounds), tickets, choose(tickets, metric))


def progress(book: Book, standing: Standing) -> str:
    """Rounds settled of rounds planned, e.g. 7/12; what can never start any more is not planned."""
    training = standing.training
    settled = training.settled + book.is_done(BENCHMARK) + book.is_done(REPORT)
    planned = training.settled + training.running
    if not standing.training_over:
        planned += len(training.ready) + training.later
    if book.spec.benchmark is not None and not standing.benchmark_cut:
        planned += standing.chosen is not None or not standing.training_over
    planned += training.settled > 0 or not standing.training_over  # the report
    return f"{settled}/{planned}"
