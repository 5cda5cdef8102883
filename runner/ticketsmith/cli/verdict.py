"""How an experiment ended, in one line and as an exit code; the same wherever it ran."""

from ticketsmith.cli.words import duration
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.status import Status


def verdict(status: Status) -> str:
    """Succeeded: the best ticket ... (3 min 05 s of work, 0.0213 USD)."""
    spent = f"{duration(status.usage.duration_seconds)} of work"
    if status.usage.currency:
        spent += f", {status.usage.cost:.4f} {status.usage.currency}"
    said = status.message or "It is suspended: set spec.suspend to false and run it again."
    return f"{status.phase}: {said} ({spent})"


def exit_code(status: Status) -> int:
    """0 succeeded, 1 failed, 2 if the spec is to blame."""
    if status.reason == "InvalidSpec":
        return int(BadSpec.exit_code)
    return 0 if status.phase == "Succeeded" else 1
