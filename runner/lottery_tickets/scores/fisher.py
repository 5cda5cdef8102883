"""The diagonal of the empirical Fisher information, from per-sample gradients that never pile up."""

import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lottery_tickets.running import (
    Batch,
    LossFn,
    Telling,
    batch_loss,
    batches,
    follow,
    preserved,
    samples,
    size,
)
from lottery_tickets.running.batches import device_of, part
from lottery_tickets.running.losses import differentiable
from lottery_tickets.scores.backward import PIECE, Sums, blocks, handing_on
from lottery_tickets.scores.checks import refuse_broken, scorable, warn_of_silent
from lottery_tickets.scores.vectorised import group_size, sample_gradients

Store = Literal["device", "host"]


def compute_fisher_importance(
    model: nn.Module,
    dataloader: Iterable[Batch],
    num_samples: int | None = 1000,
    chunk_size: int = 100_000_000,
    use_mixed_precision: bool = True,
    gradient_clip: float | None = None,
    *,
    loss_fn: LossFn | None = None,
    exclude: Sequence[str] = (),
    store: Store = "device",
    vectorize: bool | None = None,
    progress: Telling = None,
) -> dict[str, Tensor]:
    """Mean over samples of (dL_n/dw)², the gradient of each sample by itself (Kirkpatrick et al. 2017, 1612.00796,
    section 2; as a pruning score Theis et al. 2018, 1801.05787, section 2, without their factor w²).

    With the data's own targets this is the *empirical* Fisher (Kunstner et al. 2019, 1905.12558). The square of a
    batch's mean gradient is something else: what differs between samples cancels in it. A sample is one entry of the
    batch; of a language model, one sequence with its mean loss over tokens.

    Each sample has a backward pass. Its gradients are squared and added weight by weight, inside of the pass, and
    dropped at once: beside weights, sums and activations, one weight's gradient is there at a time. Networks of
    32-bit weights, so small that several samples' gradients fit into 64 MB, take those samples in one call of
    torch.func.vmap.

    The network runs in evaluation mode and in its own dtype; no autocast is applied. What is not scored (biases,
    norms, embeddings, excluded weights) is frozen meanwhile; weights you froze are scored like the others. With
    activation checkpointing, use use_reentrant=False.

    Args:
        model: Any network.
        dataloader: Batches, see `Batch`; every tensor's first dimension counts the samples.
        num_samples: Samples that are read, exactly. None: all.
        chunk_size: At most so many elements of a gradient are converted and squared at a time, and never more than
            2^19: no larger buffer would be faster. It changes no score.
        use_mixed_precision: True: squares and sums are fp32, whatever the weights' dtype, and so are the scores.
            False: both are of the weights' dtype. With 16 bits that loses most of them: a bf16 sum of ones stops at
            256, fp16 squares of gradients below 2e-4 are 0; a warning says so.
        gradient_clip: None: the estimate as defined. c > 0: a sample whose gradient, over all scored weights, is
            longer than c counts as if it were c long. That bounds what an outlier does, and biases the estimate
            toward samples with small gradients. The length is known only at the end of a backward pass, so each
            sample has two over one graph, which is kept for the second.
        loss_fn: See `batch_loss`.
        exclude: Patterns of weights that are left out, see `prunable`.
        store: "device": the sums lie where the weights do. "host": in CPU memory (4 bytes a weight), and gradients
            are brought there piece by piece, in their own dtype.
        vectorize: None: vmap if the network is small, of 32 bits, and permits it. False: never. True: a whole batch
            at once, however large; if the network does not permit it, one sample at a time still. Both agree to
            rounding in the weights' dtype, which is coarse in 16 bits.
        progress: See `follow`; a step is a sample.

    Returns:
        Name -> scores of the weight's shape, in the unit of squared loss per squared weight; 0, with one warning,
        where no gradient arrives.

    Raises:
        ValueError: An argument is out of its range; the loader is empty or holds fewer than `num_samples`; the loss
            has no gradient or is no number; a weight, or a sum of squares, is NaN or infinite (the tensor and the
            index are given). See also `scorable` and `batch_loss`.
    """
    _check(chunk_size, gradient_clip, store)
    weights = scorable(model, exclude)
    if not use_mixed_precision:
        _warn_of_16_bits(weights)
    sums = Sums(
        weights,
        _add_square,
        host=store == "host",
        dtype=torch.float32 if use_mixed_precision else None,
        piece=min(chunk_size, PIECE),
    )
    work = _Samples(model, weights, sums, loss_fn, gradient_clip, _group(weights, vectorize))
    with preserved(model, training=False), handing_on(model, weights, work.take):
        stream = batches(dataloader, num_samples=num_samples, device=device_of(model))
        seen = sum(1 for _ in follow(work.run(stream), "fisher", num_samples, progress))
    for total in sums.of.values():
        total.div_(seen)
    refuse_broken(sums.of, "the fisher score")
    warn_of_silent(sums.of)
    return sums.of


def _check(chunk_size: int, gradient_clip: float | None, store: str) -> None:
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}: use 1 or more elements, such as 100_000_000")
    if gradient_clip is not None and not 0 < gradient_clip < math.inf:
        raise ValueError(
            f"gradient_clip is {gradient_clip}: use a length above 0, or None for no clipping"
        )
    if store not in ("device", "host"):
        raise ValueError(f"store is {store!r}: use 'device' or 'host'")


def _group(weights: Mapping[str, Tensor], vectorize: bool | None) -> int:
    """How many samples are taken at once; 0: one by one."""
    if vectorize is None:
        return group_size(weights)
    return sys.maxsize if vectorize else 0


def _warn_of_16_bits(weights: Mapping[str, Tensor]) -> None:
    narrow = sorted({str(w.dtype) for w in weights.values() if w.dtype.itemsize < 4})
    if narrow:
        warnings.warn(
            f"use_mixed_precision is False, so sums are {', '.join(narrow)}: small squares vanish and long sums stop "
            f"growing; leave it True for scores that can be ranked",
            stacklevel=3,
        )


def _add_square(total: Tensor, gradient: Tensor, _: Tensor, factor: float) -> None:
    # To the host as it is, so that no more bytes travel than it has; converted there.
    there = gradient.to(total.device).to(total.dtype)
    total.addcmul_(there, there, value=factor)


class _Samples:
    """Adds each sample's squared gradient to the sums."""

    def __init__(
        self,
        model: nn.Module,
        weights: Mapping[str, nn.Parameter],
        sums: Sums,
        loss_fn: LossFn | None,
        clip: float | None,
        group: int,
    ) -> None:
        """With `group` above 0, so many samples at once, as long as the network permits it."""
        self.model, self.weights, self.sums = model, weights, sums
        self.loss_fn, self.clip, self.group = loss_fn, clip, group
        self.lengths: list[Tensor] | None = None

    def run(self, stream: Iterable[Batch]) -> Iterator[None]:
        """One step a sample."""
        first = True
        for batch in stream:
            count, start = size(batch), 0
            while start < count:
                # The first by itself, which tells what is wrong with the loss: vmap would answer zeros.
                stop = min(count, start + (1 if first else max(1, self.group)))
                some = part(batch, start, stop)
                if first or not self.group or not self._together(some):
                    for sample in samples(some):
                        self._alone(sample)
                        yield
                else:
                    yield from (None for _ in range(start, stop))
                start, first = stop, False

    def take(self, name: str, gradient: Tensor) -> None:
        """The gradient of one weight, of the sample that has its backward pass: measured, or added."""
        if self.lengths is not None:
            for some, _, _ in blocks(gradient, gradient, gradient, self.sums.piece):
                self.lengths.append(torch.linalg.vector_norm(some, dtype=torch.float32))
        else:
            self.sums.take(name, gradient)

    def _alone(self, sample: Batch) -> None:
        loss = differentiable(batch_loss(self.model, sample, self.loss_fn))
        factor = 1.0
        if self.clip is not None:
            self.lengths = []
            torch.autograd.backward(loss, retain_graph=True)
            squares = sum(float(length) ** 2 for length in self.lengths)
            self.lengths = None
            factor = min(1.0, self.clip**2 / squares) if squares else 1.0
        self.sums.begin(factor)
        torch.autograd.backward(loss)

    def _together(self, some: Batch) -> bool:
        """Whether it could be done; if not, nothing is added, and none is tried again."""
        try:
            found = sample_gradients(self.model, self.weights, some, self.loss_fn)
        except Exception:  # torch.func has many reasons; the network's own come again, one by one
            self.group = 0
            return False
        factors = torch.ones(size(some))
        if self.clip is not None:
            squares = [g.flatten(1).float().square().sum(1).cpu() for g in found.values()]
            factors = (self.clip**2 / torch.stack(squares).sum(0)).clamp(max=1.0)
        for name, gradients in found.items():
            total = self.sums.of[name]
            there = gradients.flatten(1).to(total.device).to(total.dtype).square()
            total.add_((factors.to(there) @ there).view_as(total))
        return True
