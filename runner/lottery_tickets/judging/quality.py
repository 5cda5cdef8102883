"""What a ticket keeps of the dense network's performance."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.judging.performance import (
    DEFINITIONS,
    Metric,
    Performance,
    check_again,
    check_metric,
    check_number,
    chosen,
    figure,
    measure,
    retention,
)
from lottery_tickets.judging.temporarily import blocks, pruned
from lottery_tickets.modules import named
from lottery_tickets.running import Batch, LossFn, Telling, preserved


def compute_lottery_ticket_quality(
    model: nn.Module,
    mask: Mapping[str, Tensor],
    dataloader: Iterable[Batch],
    *,
    loss_fn: LossFn | None = None,
    metric: Metric = "auto",
    num_samples: int | None = None,
    dense_performance: float | None = None,
    offload: bool = False,
    progress: Telling = None,
) -> dict[str, Any]:
    """Measure the network as it stands and again with the mask applied, on the same data, in eval mode.

    `performance_retention` is ticket / dense for accuracy and for metrics of the caller, and dense / ticket for the
    loss: 1 means nothing is lost, and more is a gain. This judges the weights that the network has: for the claim of
    Frankle & Carbin (2019, section 1) train the ticket first, and give the dense network's figure as
    `dense_performance`.

    Args:
        model: The network, left as found: only the pruned values are put aside, not a second network (see `offload`).
        mask: Parameter name -> bool tensor, True is kept.
        dataloader: Batches; read twice, so an iterator that is used up after one pass is refused.
        loss_fn: loss_fn(outputs, targets); None: the network's own or the usual one, see `batch_loss`.
        metric: What performance means: "auto", "accuracy", "loss", or a function (outputs, targets) -> number of
            which more is better.
        num_samples: Samples to measure on; None: all.
        dense_performance: The dense network's accuracy, metric or loss (whichever `metric` means), measured elsewhere
            on the same data. The network is then measured with the mask alone.
        offload: Keep the pruned values in host memory meanwhile.
        progress: Who is told.

    Returns:
        performance_retention; retention_definition, in words; metric, its name; dense_performance and
        ticket_performance; dense_loss, ticket_loss, dense_accuracy, ticket_accuracy (None where not measured or
        defined); samples, batches; kept, total, sparsity, layer_sparsities; zero_before, how many of the pruned
        weights were zero already: if all were, dense and ticket are one network, and the retention says nothing.

    Raises:
        ValueError: The mask does not fit, the data cannot be read twice or are too few, the dense loss is no number,
            or accuracy is asked for where it is not defined.
    """
    check_metric(metric)
    if dense_performance is None:
        check_again(dataloader)
    else:
        check_number("dense_performance", dense_performance)
    kept = dict(mask)
    parameters = named(model)
    masks.check_fit(kept, {name: parameters[name] for name in kept if name in parameters})
    zero_before = sum(
        int((~alive.to(weights.device) & (weights == 0)).sum())
        for name, one in kept.items()
        for weights, alive in blocks(parameters[name].detach(), one)
    )

    def look(doing: str) -> Performance:
        return measure(
            model,
            dataloader,
            loss_fn=loss_fn,
            metric=metric,
            num_samples=num_samples,
            doing=doing,
            progress=progress,
        )

    with preserved(model, training=False):
        dense = look("measuring the dense network") if dense_performance is None else None
        if dense is not None and not math.isfinite(dense.loss):
            raise ValueError(
                f"the loss of the dense network is {dense.loss}: look for NaN or infinite values in weights and data"
            )
        with pruned(model, kept, offload=offload):
            ticket = look("measuring the ticket")
    name = chosen(metric, dense or ticket)
    before = figure(dense, name) if dense is not None else float(dense_performance or 0.0)
    after = figure(ticket, name)
    counts = masks.counts(kept)
    return {
        "performance_retention": retention(before, after, name),
        "retention_definition": DEFINITIONS[name],
        "metric": name,
        "dense_performance": before,
        "ticket_performance": after,
        "dense_loss": dense.loss if dense else None,
        "ticket_loss": ticket.loss,
        "dense_accuracy": dense.accuracy if dense else None,
        "ticket_accuracy": ticket.accuracy,
        "samples": ticket.samples,
        "batches": ticket.batches,
        "kept": sum(left for left, _ in counts.values()),
        "total": sum(total for _, total in counts.values()),
        "sparsity": masks.sparsity(kept),
        "layer_sparsities": {n: 1 - left / total for n, (left, total) in counts.items() if total},
        "zero_before": zero_before,
    }
