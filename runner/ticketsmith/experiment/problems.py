"""What can go wrong in a way that a person can put right: one sentence, and the exit code it leads to."""

from ticketsmith.experiment.contract import ExitCode


class Problem(Exception):
    """A failure told in one sentence that names the field or file, the value, and the remedy."""

    exit_code: int = 1


class BadSpec(Problem):
    """The spec is wrong, or what it names is missing or damaged: trying again would not help."""

    exit_code = ExitCode.BAD_SPEC


class BrokenNumbers(Problem):
    """Loss or weights stopped being finite."""

    exit_code = ExitCode.BROKEN_NUMBERS


class DoesNotFit(Problem):
    """Out of memory; the sentence gives bytes wanted and bytes there."""

    exit_code = ExitCode.DOES_NOT_FIT


class Unavailable(Problem):
    """What the round needs cannot be reached just now; trying again may help."""
