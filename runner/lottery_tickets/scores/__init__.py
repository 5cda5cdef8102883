"""How much each weight matters: the higher the score, the longer the weight is kept. One method a module."""

from lottery_tickets.scores.fisher import compute_fisher_importance
from lottery_tickets.scores.gradient import gradient
from lottery_tickets.scores.grasp import grasp
from lottery_tickets.scores.hybrid import compute_hybrid_importance
from lottery_tickets.scores.importance import Method, importance
from lottery_tickets.scores.per_output import select_per_output
from lottery_tickets.scores.ranks import ranks
from lottery_tickets.scores.snip import snip
from lottery_tickets.scores.sparsegpt import Pruned, sparsegpt
from lottery_tickets.scores.synflow import synflow
from lottery_tickets.scores.taylor import taylor
from lottery_tickets.scores.wanda import wanda
from lottery_tickets.scores.weights import magnitude, random

__all__ = [
    "Method",
    "Pruned",
    "compute_fisher_importance",
    "compute_hybrid_importance",
    "gradient",
    "grasp",
    "importance",
    "magnitude",
    "random",
    "ranks",
    "select_per_output",
    "snip",
    "sparsegpt",
    "synflow",
    "taylor",
    "wanda",
]
