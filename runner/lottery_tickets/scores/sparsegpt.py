"""SparseGPT: prune a layer so that its outputs change least, moving the weights that stay to make up for it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lottery_tickets.masks import Mask
from lottery_tickets.patterns import Axis, as_found, outputs_first, parse, reduction_axes
from lottery_tickets.running import Batch, Telling, batches, follow
from lottery_tickets.scores.checks import refuse_not_finite, scorable
from lottery_tickets.scores.inputs import layers, pass_through
from lottery_tickets.scores.per_output import select_per_output
from lottery_tickets.selection import select


class Pruned(NamedTuple):
    """A mask, and the weights that go with it."""

    mask: Mask
    """Name -> bool, True is kept."""
    weights: dict[str, Tensor]
    """Name -> the weights after the update, in their own dtype: 0 where the mask prunes."""


def sparsegpt(
    model: nn.Module,
    dataloader: Iterable[Batch],
    sparsity: float = 0.5,
    num_samples: int | None = None,
    *,
    pattern: str | None = None,
    per_output: bool = False,
    block: int = 128,
    damping: float = 0.01,
    hessian_bytes: int = 1 << 30,
    exclude: Sequence[str] = (),
    progress: Telling = None,
) -> Pruned:
    """One-shot pruning by the Optimal Brain Surgeon, column by column (Frantar & Alistarh 2023, 2301.00774, section 3,
    algorithm 1). Put the answer to use with `weights[name]` in place of the network's weights.

    Layer by layer, in the order the network calls them. H = X Xᵀ of the layer's inputs, fp32, plus damping times its
    mean diagonal; U the upper Cholesky factor of H⁻¹. From left to right, of each block of columns the weights with
    the lowest w²/U_jj² go, and each column's loss is made up for by the columns to its right. As in the authors' code
    an input feature that is always 0 loses all its weights' values, whatever the mask says.

    A layer sees the answers of those before it that are pruned already. Layers that are called one after another and
    whose Hessians fit into `hessian_bytes` share one pass over the data, with the weights from before that pass. The
    authors' code does the same with the layers of one transformer block. The data are passed over once for each
    such group, held in memory.

    Args:
        model: Any network of linear layers and one- or two-dimensional convolutions. Its weights are changed while
            this runs and then put back.
        dataloader: Batches, see `Batch`; targets are not looked at. The paper takes 128 sequences.
        sparsity: Fraction of each layer's weights that is pruned, in [0, 1): exactly round(sparsity · weights), in
            each block its share. With `pattern` it must be left at its default or agree.
        num_samples: Samples that are read, exactly; None: all.
        pattern: "N:M", such as "2:4": N of every M consecutive inputs of an output are kept.
        per_output: True: every output loses the same number of weights of a block (exact for an output only where
            the sparsity divides the block); False, as the paper: all outputs compete within a block.
        block: Columns that are chosen together (the paper's B and B_s).
        damping: Part of the mean diagonal that is added to it (0.01 in the authors' code).
        hessian_bytes: Room for the Hessians of one pass, features² · 4 bytes each; one always fits. Solving takes
            about twice that of the largest in addition.
        exclude, progress: See `gradient`.

    Returns:
        Mask and weights, by name.

    Raises:
        ValueError: See `scorable`, `batches` and `wanda`; an argument is out of range; the inputs of an output cannot
            be cut into groups of m; a Hessian cannot be inverted (more damping helps).
    """
    n_of_m = None if pattern is None else parse(pattern)
    _check(sparsity, n_of_m, block, damping)
    weights = scorable(model, exclude)
    modules = layers(model, weights, "sparsegpt")
    axes = reduction_axes(model, weights)
    features = {name: axes[name].features(weight.shape) for name, weight in weights.items()}
    for name, inputs in features.items():
        if n_of_m is not None and inputs % n_of_m[1]:
            raise ValueError(
                f"pattern {pattern} does not fit {name!r}, whose outputs have {inputs} inputs: exclude it"
            )
    held = list(batches(dataloader, num_samples=num_samples))
    groups = _groups(_call_order(model, modules, held), features, axes, hessian_bytes)
    originals: dict[str, Tensor] = {}
    updated: dict[str, Tensor] = {}
    mask: Mask = {}
    try:
        for group in follow(groups, "sparsegpt", len(groups), progress):
            hessians = _hessians(model, {name: modules[name] for name in group}, held)
            for name in group:
                originals[name] = weights[name].detach().clone()
                solver = _Solver(name, sparsity, n_of_m, per_output, block, damping)
                mask[name] = solver.prune_in_place(
                    weights[name].detach(), axes[name], hessians.pop(name)
                )
    finally:
        for name in list(originals):
            updated[name] = weights[name].detach().clone()
            weights[name].detach().copy_(originals.pop(name))
    return Pruned({name: mask[name] for name in weights}, {name: updated[name] for name in weights})


def _check(sparsity: float, n_of_m: tuple[int, int] | None, block: int, damping: float) -> None:
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is {sparsity}: use a fraction in [0, 1)")
    if block < 1:
        raise ValueError(f"block is {block}: use 1 or more columns, such as 128")
    if not damping >= 0:
        raise ValueError(f"damping is {damping}: use a fraction of the mean diagonal, such as 0.01")
    if n_of_m is None:
        return
    n, m = n_of_m
    if block % m:
        raise ValueError(
            f"block is {block}, which groups of {m} do not fill: use a multiple of {m}"
        )
    if sparsity not in (0.5, 1 - n / m):
        raise ValueError(f"sparsity is {sparsity}, but {n}:{m} prunes {1 - n / m:g}: leave it out")


def _call_order(
    model: nn.Module, modules: Mapping[str, list[nn.Module]], held: list[Batch]
) -> list[str]:
    order: dict[str, None] = {}
    pass_through(model, modules, held, lambda name, _: order.setdefault(name), doing="sparsegpt")
    return list(order)


def _groups(
    order: list[str],
    features: Mapping[str, int],
    axes: Mapping[str, Axis],
    room: int,
) -> list[list[str]]:
    """Names in their order, together as long as their Hessians have room."""
    groups: list[list[str]] = []
    left = 0
    for name in order:
        need = 4 * axes[name].groups * features[name] ** 2
        if not groups or need > left:
            groups.append([])
            left = room
        groups[-1].append(name)
        left -= need
    return groups


def _hessians(
    model: nn.Module, modules: Mapping[str, list[nn.Module]], held: list[Batch]
) -> dict[str, Tensor]:
    """X Xᵀ of each layer's inputs: fp32 (groups, features, features)."""
    found: dict[str, Tensor] = {}

    def see(name: str, part: Tensor) -> None:
        if name not in found:
            found[name] = part.new_zeros(len(part), part.shape[2], part.shape[2])
        found[name].baddbmm_(part.transpose(1, 2), part)

    pass_through(model, modules, held, see, doing="sparsegpt")
    for name, hessian in found.items():
        refuse_not_finite(
            hessian, f"the Hessian of the inputs of {name!r}", "look at the network's activations"
        )
    return found


class _Solver:
    """Prunes one weight."""

    def __init__(
        self,
        name: str,
        sparsity: float,
        n_of_m: tuple[int, int] | None,
        per_output: bool,
        block: int,
        damping: float,
    ) -> None:
        self.name, self.block, self.damping = name, block, damping
        self.sparsity = 1 - n_of_m[0] / n_of_m[1] if n_of_m else sparsity
        self.together = n_of_m[1] if n_of_m else block
        self.by_output = per_output or n_of_m is not None
        self.chosen_among = 0

    def prune_in_place(self, weight: Tensor, axis: Axis, hessian: Tensor) -> Tensor:
        """The mask; the weight is changed."""
        groups, features, _ = hessian.shape
        rows = outputs_first(weight, axis)
        kept = torch.empty(rows.shape, dtype=torch.bool, device=weight.device)
        solved = torch.empty(rows.shape, dtype=torch.float32, device=weight.device)
        parts = zip(
            rows.reshape(groups, -1, features),
            hessian.to(weight.device),
            kept.view(groups, -1, features),
            solved.view(groups, -1, features),
            strict=True,
        )
        for part, its_hessian, its_kept, its_solved in parts:
            its_solved.copy_(part)
            self._solve(its_solved, its_hessian, its_kept)
        weight.copy_(as_found(solved, axis, weight.shape))
        return as_found(kept, axis, weight.shape)

    def _solve(self, weight: Tensor, hessian: Tensor, kept: Tensor) -> None:
        """Both in place, fp32 (outputs, features)."""
        dead = hessian.diagonal() == 0
        weight[:, dead] = 0
        upper = self._factor(hessian, dead)
        columns = weight.shape[1]
        for start in range(0, columns, self.block):
            stop = min(start + self.block, columns)
            here, factor = weight[:, start:stop], upper[start:stop, start:stop]
            errors = torch.zeros_like(here)
            for i in range(stop - start):
                if i % self.together == 0:
                    now = slice(i, i + self.together)
                    worth = (here[:, now] / factor.diagonal()[now]).square()
                    kept[:, start:stop][:, now] = self._choose(worth)
                alive = kept[:, start + i]
                error = here[:, i].masked_fill(alive, 0) / factor[i, i]
                here[:, i].masked_fill_(~alive, 0)
                here[:, i + 1 :] -= torch.outer(error, factor[i, i + 1 :])
                errors[:, i] = error
            weight[:, stop:] -= errors @ upper[start:stop, stop:]

    def _choose(self, worth: Tensor) -> Tensor:
        if self.by_output:
            return select_per_output({self.name: worth}, self.sparsity)[self.name]
        before, self.chosen_among = self.chosen_among, self.chosen_among + worth.numel()
        # Rounded as a running total, so that the tensor as a whole loses its exact share.
        lost = round(self.sparsity * self.chosen_among) - round(self.sparsity * before)
        return select({self.name: worth}, worth.numel() - lost)[self.name]

    def _factor(self, hessian: Tensor, dead: Tensor) -> Tensor:
        """The upper Cholesky factor of the damped Hessian's inverse; the Hessian is used up."""
        diagonal = hessian.diagonal()
        diagonal[dead] = 1
        diagonal += self.damping * diagonal.mean()
        try:
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
            upper: Tensor = torch.linalg.cholesky(inverse, upper=True)
        except RuntimeError as error:
            raise ValueError(
                f"the Hessian of the inputs of {self.name!r} cannot be inverted with damping {self.damping}: use more "
                f"damping, such as 0.1, or more samples ({error})"
            ) from error
        return upper
