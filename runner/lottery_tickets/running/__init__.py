"""How scores and judges run a network: batches in, a loss out, and the network left as it was found."""

from lottery_tickets.running.batches import Batch, batches, move, samples, size
from lottery_tickets.running.losses import LossFn, batch_loss
from lottery_tickets.running.preserve import preserved
from lottery_tickets.running.progress import Progress, Telling, follow

__all__ = [
    "Batch",
    "LossFn",
    "Progress",
    "Telling",
    "batch_loss",
    "batches",
    "follow",
    "move",
    "preserved",
    "samples",
    "size",
]
