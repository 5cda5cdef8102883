"""SynFlow: keep the paths through which a network's ones flow. No data, only the shape of an input."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets.masks import Mask, full
from lottery_tickets.running import Batch, Telling, batches, follow, preserved
from lottery_tickets.running.batches import changed, device_of, tensors
from lottery_tickets.running.losses import outputs_of
from lottery_tickets.scores.checks import refuse_not_finite, scorable
from lottery_tickets.scores.swapped import swapped
from lottery_tickets.selection import select

TARGET = 0.99
"""Sparsity that the rounds lead to, if none is asked for."""


def synflow(
    model: nn.Module,
    dataloader: Iterable[Batch],
    *,
    target_sparsity: float = TARGET,
    rounds: int = 100,
    exclude: Sequence[str] = (),
    progress: Telling = None,
) -> dict[str, Tensor]:
    """|w| dR/d|w|, R the sum of the outputs of the network of absolute weights for an input of ones; pruned and scored
    again over `rounds` (Tanaka et al. 2020, 2006.05467, section 6, algorithm 1).

    Round k of n keeps a fraction of (1 - target_sparsity)^(k/n). A weight pruned in round k < n scores k - n, the
    survivors of round n - 1 have the score of round n, from 0 to 1: `prune` to the target with these scores gives the
    paper's mask. To other sparsities they give a mask too, but among weights of one round order decides, so give
    the sparsity you want. Weights that are 0 already fall first.

    As in the authors' code all parameters and buffers, biases too, are taken absolute, in evaluation mode. All is
    computed in fp64 on copies (8 bytes a weight, and as many for gradients): R grows with the product of the layers'
    widths, and leaves fp32 in deep networks. Scores are scaled so that the largest is 1, then become fp32.

    Args:
        model: Any network. In a feed-forward ReLU network without biases each layer's scores have the same sum.
        dataloader: Only the first sample's shape is taken: floats become ones. Integers, such as tokens, have no
            such one: they stay as they are.
        target_sparsity: Fraction of the prunable weights that is to be pruned, in [0, 1).
        rounds: 100 in the paper; 1 scores the whole network once.
        exclude, progress: See `gradient`.

    Returns:
        Name -> fp32 scores of the weight's shape, on its device.

    Raises:
        ValueError: See `scorable` and `batches`; target_sparsity or rounds is out of range; R or a score leaves fp64;
            the outputs depend on no prunable weight.
    """
    if not 0 <= target_sparsity < 1:
        raise ValueError(f"target_sparsity is {target_sparsity}: use a fraction in [0, 1)")
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}: use 1 or more")
    weights = scorable(model, exclude)
    sample = ones(next(batches(dataloader, num_samples=1, device=device_of(model))))
    total = sum(weight.numel() for weight in weights.values())
    mask = full(weights)
    scores = {name: torch.zeros_like(kept, dtype=torch.float32) for name, kept in mask.items()}
    with preserved(model, training=False), torch.enable_grad():
        state = _absolute(model)
        for done in follow(range(1, rounds + 1), "synflow", rounds, progress):
            flow = _flow(model, state, weights, mask, sample)
            if done == rounds:
                for name, kept in mask.items():
                    scores[name][kept] = flow[name][kept]
                break
            keep = total - round((1 - (1 - target_sparsity) ** (done / rounds)) * total)
            left = select(flow, keep, among=mask)
            for name, kept in left.items():
                scores[name][mask[name] & ~kept] = done - rounds
            mask = left
    return scores


def _absolute(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, floats as their absolute values in fp64."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        name: tensor.detach().double().abs() if tensor.is_floating_point() else tensor.detach()
        for name, tensor in named.items()
    }


def _flow(
    model: nn.Module,
    state: Mapping[str, Tensor],
    weights: Mapping[str, nn.Parameter],
    mask: Mask,
    sample: Batch,
) -> dict[str, Tensor]:
    """This round's scores, fp32, the largest 1."""
    leaves = {name: (state[name] * mask[name]).requires_grad_() for name in weights}
    with swapped(model, {**state, **leaves}):
        flowing = total_of(outputs_of(model, sample))
        if not torch.isfinite(flowing):
            raise ValueError(
                f"the sum of the outputs is {flowing.item()} in fp64, too large for synflow: use a smaller input"
            )
        if not flowing.requires_grad:
            raise ValueError("the outputs depend on no prunable weight: exclude less")
        # In here too: where activations are recomputed, the backward pass runs the network again.
        gradients = torch.autograd.grad(flowing, list(leaves.values()), allow_unused=True)
    flow = {
        name: torch.zeros_like(leaf) if gradient is None else gradient.mul_(leaf.detach())
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }
    for name, score in flow.items():
        refuse_not_finite(score, f"the synflow score of {name!r}", "use a smaller input")
    largest = max(float(score.max()) for score in flow.values() if score.numel())
    return {name: score.div_(largest or 1.0).float() for name, score in flow.items()}


def ones(batch: Any) -> Any:
    """Ones in place of every float; without labels, which would have the network compute a loss."""
    if isinstance(batch, Mapping):
        batch = {name: value for name, value in batch.items() if name != "labels"}
    return changed(batch, lambda t: torch.ones_like(t).double() if t.is_floating_point() else t)


def total_of(outputs: Any) -> Tensor:
    """The sum of all float outputs; of the logits alone, if the network names them."""
    logits = getattr(outputs, "logits", None)
    found = tensors(outputs if logits is None else logits)
    flowing = [tensor.sum() for tensor in found if tensor.is_floating_point()]
    if not flowing:
        raise ValueError(f"the network answers a {type(outputs).__name__} without float tensors")
    return torch.stack(flowing).sum()
