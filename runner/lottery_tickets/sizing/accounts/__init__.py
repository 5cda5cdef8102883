"""The account of each method: what its code takes and drops, in the order in which it does.

Weights and buffers of the network are in the ledger before. What a method answers stays in it. Tensors of the size of
a layer's outputs or smaller are left out.
"""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

from lottery_tickets.sizing.accounts.inputs import sparsegpt
from lottery_tickets.sizing.accounts.judging import landscape, robustness
from lottery_tickets.sizing.accounts.masks import magnitude
from lottery_tickets.sizing.accounts.mixed import SINGLE, hybrid
from lottery_tickets.sizing.accounts.training import early_bird, imp
from lottery_tickets.sizing.case import Case

SizedMethod = Literal[
    "magnitude",
    "random",
    "gradient",
    "snip",
    "grasp",
    "synflow",
    "taylor",
    "fisher",
    "wanda",
    "sparsegpt",
    "hybrid",
    "early-bird",
    "imp",
    "robustness",
    "landscape",
]
METHODS: tuple[str, ...] = get_args(SizedMethod)

DATA_FREE = frozenset({"magnitude", "random"})
"""Methods that run the network on nothing."""

ACCOUNTS: Mapping[str, Callable[[Case], None]] = {
    **SINGLE,
    "magnitude": magnitude,
    "sparsegpt": sparsegpt,
    "hybrid": hybrid,
    "early-bird": early_bird,
    "imp": imp,
    "robustness": robustness,
    "landscape": landscape,
}
