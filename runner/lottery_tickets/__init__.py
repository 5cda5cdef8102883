"""Find lottery tickets: score weights, select exactly as many as wanted, apply the mask.

Tensors in, tensors out; on the CPU and on CUDA; needs torch and safetensors alone.
"""

from lottery_tickets.levels import Budget, Scope, keep_counts
from lottery_tickets.masks import Mask, apply, counts, full, is_subset, load, save, sparsity
from lottery_tickets.modules import match, prunable
from lottery_tickets.prune import Score, prune, random_like
from lottery_tickets.scores import magnitude, random
from lottery_tickets.selection import select, select_per_layer, threshold

__all__ = [
    "Budget",
    "Mask",
    "Scope",
    "Score",
    "apply",
    "counts",
    "full",
    "is_subset",
    "keep_counts",
    "load",
    "magnitude",
    "match",
    "prunable",
    "prune",
    "random",
    "random_like",
    "save",
    "select",
    "select_per_layer",
    "sparsity",
    "threshold",
]
