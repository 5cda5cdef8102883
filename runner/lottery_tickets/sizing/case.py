"""One prediction being made: the ledger, the network's sizes, and the passes, rehearsed or taken from a number."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

import torch

from lottery_tickets.ranking import PIECE, WORKERS
from lottery_tickets.scores.hybrid import WEIGHTS
from lottery_tickets.sizing.ledger import Event, Ledger
from lottery_tickets.sizing.network import Network, Size
from lottery_tickets.sizing.passes import Passes, Room

Optimizer = Literal["sgd", "momentum", "adamw"]

_BINS = 1 << 16
"""Of a histogram of 16 bits, 8 bytes each."""


@dataclass(frozen=True)
class Settings:
    """The options of the methods that change their memory, with the methods' defaults."""

    store: Literal["device", "host"] = "device"
    chunk_size: int = PIECE
    offload: bool = False
    store_directions: bool = False
    dimensions: int = 2
    optimizer: Optimizer = "sgd"
    restore: bool = True
    sample_size: int = 1 << 20
    sparsity: float = 0.9
    use_mixed_precision: bool = True
    hessian_bytes: int = 1 << 30
    rounds: int = 100
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))


@dataclass(frozen=True)
class Case:
    """What a method's account is written into, and from what."""

    book: Ledger
    net: Network
    passes: Passes | None
    activations: int | None
    samples: int
    cuda: bool
    settings: Settings

    def forward(self) -> None:
        """Evaluation without a graph, on one batch."""
        with self._batch(self.samples):
            self.book.replay(self.passes.forward(self.samples) if self.passes else self._given())

    def handed_on(
        self, room: Room, *, training: bool, samples: int | None = None, everything: bool = False
    ) -> None:
        """A training pass in which each gradient is dropped before the next; the batch may hold more samples."""
        with self._batch(self.samples):
            if self.passes:
                several = samples or self.samples
                events = self.passes.handed_on(
                    several, room, training=training, everything=everything
                )
            else:
                ones = self._trained() if everything else self.net.scored
                events = self._given(_one_by_one(ones, room))
            self.book.replay(events)

    def piled(self) -> int:
        """A plain training pass; returns the bytes of the gradients, which stay."""
        with self._batch(self.samples):
            if self.passes:
                return self.book.replay(self.passes.piled(self.samples), keep=["gradients"])
            sizes = [one.bytes for one in self._trained()]
            total, left = sum(sizes), self.activations or 0
            events: list[Event] = [("activations", left)]
            for size in sizes:
                # What was saved is given back on the way, here as evenly as the gradients come.
                free = left * size // total
                events += [("gradients", size), ("activations", -free)]
                left, total = left - free, total - size
            return self.book.replay(events, keep=["gradients"])

    def together(self, samples: int) -> int:
        """The gradients of several samples, by vmap; returns their bytes, which stay."""
        with self._batch(self.samples):
            if self.passes:
                events = self.passes.together(samples)
            else:
                events = self._given([("gradients", samples * self.net.scored_bytes)])
            return self.book.replay(events, keep=["gradients"])

    def products(self) -> int:
        """GraSP's second pass; returns the bytes of the products, which stay."""
        with self._batch(self.samples):
            if self.passes:
                events = self.passes.hessian(self.samples, training=True)
                return self.book.replay(events, keep=["gradients"])
            once: list[Event] = [("gradients", self.net.scored_bytes)]
            return self.book.replay(self._given(once * 2), keep=["gradients"])

    def flow(self) -> int:
        """SynFlow's pass; returns the bytes of the gradients, which stay."""
        if self.passes:
            return self.book.replay(self.passes.flow(), keep=["gradients"])
        return self.book.replay(
            self._given([("gradients", 8 * self.net.count)]), keep=["gradients"]
        )

    def inputs(self, method: str) -> list[str]:
        """A pass that shows every layer's inputs; returns the weights in the order of the calls."""
        with self._batch(self.samples):
            if self.passes:
                events, order = self.passes.inputs(self.samples, method)
                self.book.replay(events)
                return order
            self.book.replay(self._given())
            return [one.name for one in self.net.scored]

    def select(self, sizes: Iterable[Size], itemsize: int | None = None, *, signed: bool) -> None:
        """Exact selection, of which the mask stays: the buffers of a `Ranking` before and beside it.

        Args:
            itemsize: Of the scores; None: of the weights themselves.
            signed: Scores, not magnitudes.
        """
        several = list(sizes)
        widths = {itemsize or one.itemsize for one in several}
        key = widths.pop() if len(widths) == 1 else 4
        total = sum(one.numel for one in several)
        workers = 1 if self.cuda else min(torch.get_num_threads(), WORKERS, 1 + total // PIECE)
        piece = min(PIECE, max(one.numel for one in several))
        # Keys and their spare; in 16 bits, digits that no longer fit there; the sum of histograms, this and the last.
        bins = _BINS if signed or key > 2 else _BINS // 2
        counting = 3 * 8 * bins + (4 * piece if signed and key == 2 else 0)
        with self.book.held("buffers", workers * 2 * piece * key):
            # Of 32 bits there are two rounds, and the second begins with the first one's histogram.
            first = 0 if key == 2 else 8 * (_BINS if signed else _BINS // 2)
            self.book.touch("buffers", workers * counting + first)
            self.book.take("masks", total)

    def _trained(self) -> list[Size]:
        return [one for one in self.net.parameters if one.trains]

    def _batch(self, samples: int) -> AbstractContextManager[None]:
        # On a CPU the batch is the caller's; to another device it is copied.
        size = self.passes.batch_bytes(samples) if self.passes and self.cuda else 0
        return self.book.held("activations", size)

    def _given(self, events: Iterable[Event] = ()) -> list[Event]:
        return [("activations", self.activations or 0), *events]


def _one_by_one(sizes: Iterable[Size], room: Room) -> list[Event]:
    events: list[Event] = []
    for one in sizes:
        needed = room.of(one.numel, one.itemsize)
        events += [
            ("gradients", one.bytes),
            ("buffers", needed),
            ("buffers", -needed),
            ("gradients", -one.bytes),
        ]
    return events
