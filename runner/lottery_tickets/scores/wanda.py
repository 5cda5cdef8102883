"""Wanda: the size of a weight times that of the inputs it meets."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from lottery_tickets.patterns import as_found, outputs_first, reduction_axes
from lottery_tickets.running import Batch, Telling, batches
from lottery_tickets.scores.checks import refuse_not_finite, scorable
from lottery_tickets.scores.inputs import layers, pass_through


def wanda(
    model: nn.Module,
    dataloader: Iterable[Batch],
    num_samples: int | None = None,
    *,
    exclude: Sequence[str] = (),
    progress: Telling = None,
) -> dict[str, Tensor]:
    """|w_ij| · ||x_j||_2, x_j the j-th input feature over all tokens (Sun et al. 2023, 2306.11695, section 3).

    The paper compares these scores within each output (a row of a linear layer), not across layers: use
    `select_per_output`. No gradient is needed, and one vector a layer is in memory. A feature of a convolution is
    one place of the patch that a kernel sees, padding included.

    All layers' inputs are those of the network as it is. The authors' code prunes a block, then runs the next block
    on what the pruned one answers: for that, score and apply block by block, with `exclude`.

    Args:
        model: Any network of linear layers and one- or two-dimensional convolutions, of any groups and padding.
        dataloader: Batches, see `Batch`; targets are not looked at.
        num_samples: Samples that are read, exactly; None: all. The paper takes 128 sequences.
        exclude, progress: See `gradient`.

    Returns:
        Name -> fp32 scores of the weight's shape, on its device.

    Raises:
        ValueError: See `scorable` and `batches`; a weight belongs to another kind of layer, or to one that the
            network does not call; an input is NaN or infinite (the layer and the feature are given).
    """
    weights = scorable(model, exclude)
    modules = layers(model, weights, "wanda")
    axes = reduction_axes(model, weights)
    squares: dict[str, Tensor] = {}

    def see(name: str, part: Tensor) -> None:
        found = part.square().sum(1)
        squares[name] = squares[name] + found if name in squares else found

    stream = batches(dataloader, num_samples=num_samples)
    pass_through(model, modules, stream, see, doing="wanda", progress=progress)
    scores = {}
    for name, weight in weights.items():
        refuse_not_finite(squares[name], f"the squared norm of the inputs of {name!r}")
        groups, features = squares[name].shape
        sized = outputs_first(weight.detach().abs().float(), axes[name])
        norms = squares[name].sqrt_().to(weight.device)
        sized = sized.reshape(groups, -1, features).mul_(norms.unsqueeze(1))
        scores[name] = as_found(sized, axes[name], weight.shape)
    return scores
