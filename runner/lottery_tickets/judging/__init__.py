"""What a ticket is worth: measured quality, robustness, overlap with others, and whether it is what it claims."""

from lottery_tickets.judging.agreement import compute_optimizer_agreement, compute_rank_agreement
from lottery_tickets.judging.controls import (
    compute_sanity_controls,
    reinitialize,
    shuffle_in_layer,
)
from lottery_tickets.judging.correctness import validate_pruning_correctness
from lottery_tickets.judging.determinism import Determinism, ensure_deterministic_pruning
from lottery_tickets.judging.landscape import compute_loss_landscape
from lottery_tickets.judging.overlap import compute_ticket_overlap
from lottery_tickets.judging.quality import compute_lottery_ticket_quality
from lottery_tickets.judging.robustness import compute_pruning_robustness
from lottery_tickets.judging.temporarily import pruned

__all__ = [
    "Determinism",
    "compute_loss_landscape",
    "compute_lottery_ticket_quality",
    "compute_optimizer_agreement",
    "compute_pruning_robustness",
    "compute_rank_agreement",
    "compute_sanity_controls",
    "compute_ticket_overlap",
    "ensure_deterministic_pruning",
    "pruned",
    "reinitialize",
    "shuffle_in_layer",
    "validate_pruning_correctness",
]
