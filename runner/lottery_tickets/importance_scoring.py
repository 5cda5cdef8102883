"""The scores under the module name that code written for earlier texts uses."""

from lottery_tickets.scores import compute_fisher_importance, compute_hybrid_importance, importance

__all__ = ["compute_fisher_importance", "compute_hybrid_importance", "importance"]
