"""Magnitude pruning by the names under which people look for it. All of it is `prune` with the weights as scores."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lottery_tickets.levels import Scope, check_fraction
from lottery_tickets.masks import Mask
from lottery_tickets.prune import prune
from lottery_tickets.pruning_mask import PruningMask


def create_magnitude_mask(
    model: nn.Module | Mapping[str, Tensor],
    sparsity: float,
    *,
    mask: Mapping[str, Tensor] | None = None,
    scope: Scope = "global",
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    sparsities: Mapping[str, float] | None = None,
) -> Mask:
    """The mask that prunes exactly this fraction of the prunable weights: those of smallest magnitude in the network.

    Exact where a histogram of values is not, and as fast as a few reads of the weights (Han et al. 2015, 1506.02626,
    section 3; globally as in Frankle & Carbin 2019, section 4). The weights stay as they are: `apply(model, mask)`.

    Args:
        model: A network, of which the `prunable` weights are taken, or the weights by name.
        sparsity: Fraction pruned, in [0, 1); round(sparsity * weights) weights.
        mask: Weights pruned before, which stay pruned and count. None: none is.
        scope, exclude, rate_factors, sparsities: See `prune`.

    Returns:
        Parameter name -> bool tensor of the weight's shape, True is kept.

    Raises:
        ValueError: One sentence that names the argument; see `prune`.
    """
    check_fraction("sparsity", sparsity)
    return prune(
        model,
        target_sparsity=sparsity,
        mask=mask,
        scope=scope,
        exclude=exclude,
        rate_factors=rate_factors,
        sparsities=sparsities,
    )


def compute_layerwise_magnitude_ticket(
    model: nn.Module | Mapping[str, Tensor],
    target_sparsity: float = 0.9,
    use_global_ranking: bool = True,
    *,
    mask: Mapping[str, Tensor] | None = None,
    exclude: Sequence[str] = (),
    rate_factors: Mapping[str, float] | None = None,
    sparsities: Mapping[str, float] | None = None,
) -> Mask:
    """The magnitude mask, of weights that compete in the whole network or each within its layer.

    Args:
        model: A network, or weights by name.
        target_sparsity: Fraction pruned, in [0, 1).
        use_global_ranking: True: all weights compete, and layers end at different sparsities. False: every layer
            loses the same fraction of its weights.
        mask: Weights pruned before, which stay pruned and count. None: none is.
        exclude, rate_factors, sparsities: See `prune`.

    Returns:
        Parameter name -> bool tensor of the weight's shape, True is kept.

    Raises:
        ValueError: One sentence that names the argument; see `prune`.
    """
    return prune(
        model,
        target_sparsity=target_sparsity,
        mask=mask,
        scope="global" if use_global_ranking else "layer",
        exclude=exclude,
        rate_factors=rate_factors,
        sparsities=sparsities,
    )


class MagnitudePruner:
    """Takes a network from one level to the next by magnitude.

    Args:
        global_pruning: True: all weights compete; False: every layer loses the same fraction of its survivors.
        exclude, rate_factors, sparsities: See `prune`.
    """

    def __init__(
        self,
        global_pruning: bool = True,
        *,
        exclude: Sequence[str] = (),
        rate_factors: Mapping[str, float] | None = None,
        sparsities: Mapping[str, float] | None = None,
    ) -> None:
        self.global_pruning = global_pruning
        self.exclude = tuple(exclude)
        self.rate_factors = dict(rate_factors or {})
        self.sparsities = dict(sparsities or {})

    def prune(
        self,
        model: nn.Module | Mapping[str, Tensor],
        mask: Mapping[str, Tensor] | None = None,
        target_sparsity: float | None = None,
    ) -> PruningMask:
        """The next mask; the given one and the weights stay as they are.

        Args:
            model: A network, or weights by name.
            mask: The level before: what it prunes stays pruned, and exactly as many survivors as the target wants
                are kept, the largest. None: nothing is pruned yet.
            target_sparsity: Fraction of all prunable weights pruned afterwards, in [0, 1).

        Raises:
            ValueError: One sentence that names the argument; see `prune`.
        """
        return PruningMask.of(
            prune(
                model,
                target_sparsity=target_sparsity,
                mask=mask,
                scope="global" if self.global_pruning else "layer",
                exclude=self.exclude,
                rate_factors=self.rate_factors,
                sparsities=self.sparsities,
            )
        )
