"""2:4 sparsity of a whole network, as sparse tensor cores take it."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.masks import Mask
from lottery_tickets.modules import prunable
from lottery_tickets.patterns.axes import reduction_axes
from lottery_tickets.patterns.n_m import check_fits, parse, verify_n_of_m
from lottery_tickets.patterns.permutation import ChannelOrder, search_channel_order
from lottery_tickets.prune import prune
from lottery_tickets.running.progress import Telling, follow


class Structured24Pruner:
    """Keeps, of every four consecutive weights along the reduction axis, the two of largest magnitude.

    Sparse tensor cores multiply such matrices at up to twice the rate of dense ones (Mishra et al. 2021, 2104.08378,
    section 3); what that gains depends on layer, batch and kernel, and is for a benchmark to say.

    Args:
        pattern: "2:4", or another "N:M".
        exclude: Patterns of weights that are left alone, see `prunable`.
    """

    def __init__(self, pattern: str = "2:4", *, exclude: Sequence[str] = ()) -> None:
        self.n, self.m = parse(pattern)
        self.exclude = tuple(exclude)

    def prune_model(
        self,
        model: nn.Module,
        *,
        mask: Mapping[str, Tensor] | None = None,
        scores: Mapping[str, Tensor] | None = None,
        apply: bool = False,
    ) -> Mask:
        """The masks of all prunable weights, by parameter name.

        Args:
            model: Any network.
            mask: Weights pruned before, which stay pruned. None: none is.
            scores: Scores to rank by instead of the magnitude, for each prunable weight.
            apply: Also set the pruned weights to zero. If not, the network stays as it is.

        Raises:
            ValueError: A layer's inputs are no multiple of M (all such are listed), nothing is prunable, or a weight
                is NaN or infinite.
        """
        found = prune(
            model,
            pattern=f"{self.n}:{self.m}",
            mask=mask,
            score="magnitude" if scores is None else scores,
            exclude=self.exclude,
        )
        if apply:
            masks.apply(model, found)
        return found

    def verify_24_pattern(self, tensor: Tensor) -> bool:
        """Whether at most two of every four values along dimension 1 are not zero (N of M, for another pattern)."""
        return verify_n_of_m(tensor, self.n, self.m)

    def verify_model(self, model: nn.Module) -> dict[str, bool]:
        """Parameter name -> whether the weight has the pattern along its own reduction axis."""
        weights = prunable(model, self.exclude)
        axes = reduction_axes(model, weights)
        return {
            name: verify_n_of_m(weight, self.n, self.m, axis=axes[name])
            for name, weight in weights.items()
        }

    def channel_orders(
        self, model: nn.Module, *, window: int = 512, progress: Telling = None
    ) -> dict[str, ChannelOrder]:
        """Orders of each layer's input channels in which the pattern keeps more of the weights' magnitude.

        Each order's `mask` is for the channels where they are now; the kernels want the pattern, so the channels must
        be moved before: the inputs of this layer, and with them the outputs of the layers that produce them.

        Args:
            model: Any network; it stays as it is. Layers in groups are left out: their channels cannot change places.
            window: See `search_channel_order`.
            progress: See `running.Telling`; a step is a layer.

        Raises:
            ValueError: As `prune_model`.
        """
        weights = prunable(model, self.exclude)
        axes = reduction_axes(model, weights)
        check_fits(weights, self.n, self.m, axes)
        free = [name for name in weights if axes[name].groups == 1]
        return {
            name: search_channel_order(
                weights[name].detach().abs(),
                f"{self.n}:{self.m}",
                axis=axes[name].dim,
                window=window,
                progress=False,
            )
            for name in follow(free, "searching channel orders", len(free), progress)
        }
