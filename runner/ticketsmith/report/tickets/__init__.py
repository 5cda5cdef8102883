"""Pictures of what the pruning library returns, and a report of them: JSON, one HTML page, a PDF, PNG.

Each figure function takes a result and returns a matplotlib figure, for a notebook or a paper; `ticket_report` tells
several results together.
"""

from ticketsmith.report.tickets.agreement import rank_agreement
from ticketsmith.report.tickets.curves import sparsity_curves
from ticketsmith.report.tickets.early_bird import early_bird_distances
from ticketsmith.report.tickets.importance import importance_maps
from ticketsmith.report.tickets.landscape import loss_landscape
from ticketsmith.report.tickets.masks import layer_sparsity
from ticketsmith.report.tickets.overlap import ticket_overlap
from ticketsmith.report.tickets.trained import control_bars, pruning_rounds
from ticketsmith.report.tickets.write import ticket_report

__all__ = [
    "control_bars",
    "early_bird_distances",
    "importance_maps",
    "layer_sparsity",
    "loss_landscape",
    "pruning_rounds",
    "rank_agreement",
    "sparsity_curves",
    "ticket_overlap",
    "ticket_report",
]
