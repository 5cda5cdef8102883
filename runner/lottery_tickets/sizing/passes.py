"""What one pass through a network allocates, found by rehearsing it.

The pass runs for real, but on fake tensors that have shapes and no values: weights take no memory, and nothing is
computed. What the operations would allocate is counted as it comes and goes. So saved activations, temporaries of the
backward pass and the moment at which a gradient is dropped are those of torch itself, not of a formula. Where values
decide what a network does, its own tensors take their place. It is the pass of a CPU: dropout and attention may keep
other things on a GPU. What a kernel allocates for itself is not seen.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lottery_tickets.modules import prunable
from lottery_tickets.running import Batch, LossFn, batch_loss
from lottery_tickets.running.batches import part, size, tensors
from lottery_tickets.running.losses import outputs_of
from lottery_tickets.running.preserve import require_only
from lottery_tickets.scores.backward import handing_on
from lottery_tickets.scores.grasp import hessian_times
from lottery_tickets.scores.inputs import layers, pass_through
from lottery_tickets.scores.swapped import swapped
from lottery_tickets.scores.synflow import ones, total_of
from lottery_tickets.scores.vectorised import gradients_and_losses
from lottery_tickets.sizing.ledger import Event
from lottery_tickets.sizing.stage import Run, Stage, as_it_is, on_fakes

REHEARSED = "rehearsed on fake tensors"
RUN = "counted in a pass of the network itself"


class Room(NamedTuple):
    """What the use of a gradient takes for a moment: bytes for each of its elements, of a piece at most."""

    narrow: int = 0
    """Bytes an element of 16 bits."""
    wide: int = 0
    """Bytes an element of 32 bits or more."""
    piece: int = 1 << 62

    def of(self, numel: int, itemsize: int) -> int:
        return min(numel, self.piece) * (self.narrow if itemsize < 4 else self.wide)


class Passes:
    """Passes of one network. Each answers what was taken and given back beside weights and batch, in order.

    Args:
        model: Any network, also on the meta device.
        example: A batch, of which only the first sample's shapes and dtypes count.
        loss_fn: See `batch_loss`.
        exclude: See `prunable`.

    Raises:
        ValueError: By every method, if the pass needs values and there are none.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Batch,
        loss_fn: LossFn | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        size(example)
        self.model, self.example = model, example
        self.loss_fn, self.exclude = loss_fn, exclude
        self.how = REHEARSED
        self._known: dict[tuple[Any, ...], list[Event]] = {}
        self._orders: dict[str, list[str]] = {}

    def batch_bytes(self, samples: int) -> int:
        """Bytes of a batch of so many samples."""
        first = part(self.example, 0, 1)
        return sum(
            t.numel() * t.element_size() * (samples if t.dim() else 1) for t in tensors(first)
        )

    def forward(self, samples: int) -> list[Event]:
        """Outputs and loss in evaluation mode, without a graph."""

        def run(stage: Stage) -> None:
            with torch.no_grad():
                batch_loss(stage.model, stage.batch, self.loss_fn)

        return self._rehearsed("forward", samples, run, training=False)

    def handed_on(
        self, samples: int, room: Room, *, training: bool, everything: bool = False
    ) -> list[Event]:
        """Forward and backward, each gradient used and dropped before the next: those of the prunable weights, or of
        all parameters that require one."""

        def take(stage: Stage, _: str, gradient: Tensor) -> None:
            stage.count.mark(gradient, "gradients")
            needed = room.of(gradient.numel(), gradient.element_size())
            if needed:
                stage.count.mark(torch.empty(needed, dtype=torch.uint8), "buffers")

        def run(stage: Stage) -> None:
            chosen = prunable(stage.model, self.exclude)
            if everything:
                chosen = {n: p for n, p in stage.model.named_parameters() if p.requires_grad}
            with handing_on(stage.model, chosen, partial(take, stage)):
                _backward(batch_loss(stage.model, stage.batch, self.loss_fn))

        return self._rehearsed("handed on", samples, run, training=training, of=(room, everything))

    def piled(self, samples: int) -> list[Event]:
        """Forward and backward of a plain training step; the gradients stay."""

        def run(stage: Stage) -> None:
            handles = [
                p.register_post_accumulate_grad_hook(partial(_mark_grad, stage))  # type: ignore[no-untyped-call]
                for p in stage.model.parameters()
                if p.requires_grad
            ]
            with torch.enable_grad():
                _backward(batch_loss(stage.model, stage.batch, self.loss_fn))
            stage.count.stop()
            for handle in handles:
                handle.remove()

        return self._rehearsed("piled", samples, run, training=True)

    def together(self, samples: int) -> list[Event]:
        """The gradients of all samples, each by itself, at once; they stay."""

        def run(stage: Stage) -> None:
            weights = prunable(stage.model, self.exclude)
            require_only(stage.model, weights.values())
            found, _ = gradients_and_losses(stage.model, weights, stage.batch, self.loss_fn)
            _end_with(stage, found.values())

        return self._rehearsed("together", samples, run, training=False)

    def hessian(self, samples: int, *, training: bool) -> list[Event]:
        """The Hessian of the loss times a vector, as GraSP takes it; the products stay."""

        def run(stage: Stage) -> None:
            weights = prunable(stage.model, self.exclude)
            require_only(stage.model, weights.values())
            with stage.count.apart():
                vector = {
                    name: torch.zeros_like(weight, dtype=torch.float32)
                    for name, weight in weights.items()
                }
            with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
                loss = batch_loss(stage.model, stage.batch, self.loss_fn)
                products = hessian_times(loss, weights, vector)
            _end_with(stage, products.values())

        return self._rehearsed("hessian", samples, run, training=training)

    def flow(self) -> list[Event]:
        """SynFlow's pass: one sample of ones through weights of fp64; the gradients stay."""

        def run(stage: Stage) -> None:
            names = list(prunable(stage.model, self.exclude))
            own = dict([*stage.model.named_parameters(), *stage.model.named_buffers()])
            with stage.count.apart():
                wide = {
                    n: t.detach().double() if t.is_floating_point() else t for n, t in own.items()
                }
                sample = ones(stage.batch)
            leaves = [wide[name].requires_grad_() for name in names]
            with swapped(stage.model, wide), torch.enable_grad():
                flowing = total_of(outputs_of(stage.model, sample))
                found = torch.autograd.grad(flowing, leaves, allow_unused=True)
            _end_with(stage, (gradient for gradient in found if gradient is not None))

        return self._rehearsed("flow", 1, run, training=False)

    def inputs(self, samples: int, method: str) -> tuple[list[Event], list[str]]:
        """A pass in which every layer's inputs are looked at as `method` does, "wanda" or "sparsegpt", and the
        weights in the order of the calls."""

        def run(stage: Stage) -> None:
            order: dict[str, None] = {}

            def see(name: str, rows: Tensor) -> None:
                order.setdefault(name)
                if method == "wanda":
                    rows.square().sum(1)

            weights = prunable(stage.model, self.exclude)
            modules = layers(stage.model, weights, method)
            pass_through(stage.model, modules, [stage.batch], see, doing=method, progress=False)
            self._orders[method] = list(order)

        events = self._rehearsed("inputs", samples, run, training=False, of=(method,))
        return events, self._orders[method]

    def _rehearsed(
        self, kind: str, samples: int, run: Run, *, training: bool, of: tuple[Any, ...] = ()
    ) -> list[Event]:
        key = (kind, samples, training, *of)
        if key not in self._known:
            self._known[key] = self._rehearse(samples, run, training)
        return self._known[key]

    def _rehearse(self, samples: int, run: Run, training: bool) -> list[Event]:
        if self.how == REHEARSED:
            try:
                return on_fakes(self.model, self.example, samples, run, training).events()
            except ValueError:
                raise  # the sentence is for whoever called
            except Exception as error:
                # Fakes have no values to decide by, and not every operation knows them.
                everything = [*self.model.parameters(), *self.model.buffers()]
                if any(t.is_meta for t in [*everything, *tensors(self.example)]):
                    raise ValueError(
                        f"the pass cannot be rehearsed without values ({str(error).splitlines()[0]}): give a network "
                        f"and a batch that have some, or activations, the bytes that the pass takes"
                    ) from error
                self.how = RUN
        return as_it_is(self.model, self.example, samples, run, training).events()


def _end_with(stage: Stage, gradients: Any) -> None:
    """These stay when the pass is over."""
    for gradient in gradients:
        stage.count.mark(gradient, "gradients")
    stage.count.stop()


def _mark_grad(stage: Stage, parameter: Tensor) -> None:
    assert parameter.grad is not None  # noqa: S101
    stage.count.mark(parameter.grad, "gradients")


def _backward(loss: Tensor) -> None:
    if loss.requires_grad:
        torch.autograd.backward(loss)
