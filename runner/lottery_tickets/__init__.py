"""Find lottery tickets: score weights, select exactly as many as wanted, apply the mask.

Tensors in, tensors out; on the CPU and on CUDA; needs torch alone, and safetensors to save what it found.
"""

from lottery_tickets.channels import (
    ChannelGroups,
    ChannelPlan,
    channel_groups,
    channel_scores,
    channel_taylor,
    compact,
    dead_channels,
    prune_channels,
    random_channels_like,
)
from lottery_tickets.early_bird import compute_early_bird_tickets
from lottery_tickets.enforcing import enforce
from lottery_tickets.finding import (
    LotteryTicketFinder,
    compute_error_barrier,
    compute_iterative_magnitude_pruning,
    compute_one_shot_magnitude_pruning,
    earliest_stable_rewind_step,
)
from lottery_tickets.judging import (
    compute_loss_landscape,
    compute_lottery_ticket_quality,
    compute_optimizer_agreement,
    compute_pruning_robustness,
    compute_rank_agreement,
    compute_sanity_controls,
    compute_ticket_overlap,
    ensure_deterministic_pruning,
    reinitialize,
    shuffle_in_layer,
    validate_pruning_correctness,
)
from lottery_tickets.lamp import lamp_counts
from lottery_tickets.levels import Budget, Scope, keep_counts
from lottery_tickets.magnitude_pruning import (
    MagnitudePruner,
    compute_layerwise_magnitude_ticket,
    create_magnitude_mask,
)
from lottery_tickets.masks import Mask, apply, counts, full, is_subset, load, save, sparsity
from lottery_tickets.modules import match, prunable
from lottery_tickets.patterns import (
    ChannelOrder,
    keep_n_of_m,
    search_channel_order,
    verify_n_of_m,
)
from lottery_tickets.patterns.structured24 import Structured24Pruner
from lottery_tickets.prune import Score, prune, random_like
from lottery_tickets.pruning_mask import PruningMask
from lottery_tickets.scores import (
    compute_fisher_importance,
    compute_hybrid_importance,
    gradient,
    grasp,
    importance,
    magnitude,
    random,
    ranks,
    select_per_output,
    snip,
    sparsegpt,
    synflow,
    taylor,
    wanda,
)
from lottery_tickets.selection import select, select_per_layer, threshold
from lottery_tickets.sizing import (
    MemoryPlan,
    Prediction,
    available_memory,
    memory_tables,
    plan_memory,
    predict_peak,
)

__all__ = [
    "Budget",
    "ChannelGroups",
    "ChannelOrder",
    "ChannelPlan",
    "LotteryTicketFinder",
    "MagnitudePruner",
    "Mask",
    "MemoryPlan",
    "Prediction",
    "PruningMask",
    "Scope",
    "Score",
    "Structured24Pruner",
    "apply",
    "available_memory",
    "channel_groups",
    "channel_scores",
    "channel_taylor",
    "compact",
    "compute_early_bird_tickets",
    "compute_error_barrier",
    "compute_fisher_importance",
    "compute_hybrid_importance",
    "compute_iterative_magnitude_pruning",
    "compute_layerwise_magnitude_ticket",
    "compute_loss_landscape",
    "compute_lottery_ticket_quality",
    "compute_one_shot_magnitude_pruning",
    "compute_optimizer_agreement",
    "compute_pruning_robustness",
    "compute_rank_agreement",
    "compute_sanity_controls",
    "compute_ticket_overlap",
    "counts",
    "create_magnitude_mask",
    "dead_channels",
    "earliest_stable_rewind_step",
    "enforce",
    "ensure_deterministic_pruning",
    "full",
    "gradient",
    "grasp",
    "importance",
    "is_subset",
    "keep_counts",
    "keep_n_of_m",
    "lamp_counts",
    "load",
    "magnitude",
    "match",
    "memory_tables",
    "plan_memory",
    "predict_peak",
    "prunable",
    "prune",
    "prune_channels",
    "random",
    "random_channels_like",
    "random_like",
    "ranks",
    "reinitialize",
    "save",
    "search_channel_order",
    "select",
    "select_per_layer",
    "select_per_output",
    "shuffle_in_layer",
    "snip",
    "sparsegpt",
    "sparsity",
    "synflow",
    "taylor",
    "threshold",
    "validate_pruning_correctness",
    "verify_n_of_m",
    "wanda",
]
