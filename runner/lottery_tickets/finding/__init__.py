"""Finding tickets: iterative magnitude pruning with real training, whole experiments, and where to rewind to.

Early-bird tickets are in `lottery_tickets.early_bird`.
"""

from lottery_tickets.finding.connectivity import compute_error_barrier, earliest_stable_rewind_step
from lottery_tickets.finding.finder import LotteryTicketFinder
from lottery_tickets.finding.imp import (
    compute_iterative_magnitude_pruning,
    compute_one_shot_magnitude_pruning,
)

__all__ = [
    "LotteryTicketFinder",
    "compute_error_barrier",
    "compute_iterative_magnitude_pruning",
    "compute_one_shot_magnitude_pruning",
    "earliest_stable_rewind_step",
]
