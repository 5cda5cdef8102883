"""Sanity controls: networks that should do worse than the ticket, if which weights and which values matter.

The checks of Frankle et al. (2021, 2009.08576: shuffling which weights a layer keeps, and new initial values) and of Su
et al. (2020, 2009.11094: changing at random which weights a layer keeps, with their number unchanged). A method whose
ticket does no better than these controls has found how many weights each layer should keep, and nothing about which.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.judging.determinism import gpu_in_use
from lottery_tickets.masks import Mask
from lottery_tickets.modules import named
from lottery_tickets.prune import prune, random_like
from lottery_tickets.pruning_mask import PruningMask
from lottery_tickets.running import Telling, follow, preserved
from lottery_tickets.running.lending import check_state, put

Control = Literal["ticket", "reinit", "shuffled", "random"]


def shuffle_in_layer(mask: Mapping[str, Tensor], generator: torch.Generator) -> Mask:
    """The mask with the kept weights of each layer put at random places of that layer: `random_like`.

    Every arrangement is equally likely, whatever the mask; only its counts matter.
    """
    return random_like(dict(mask), generator)


def reinitialize(
    model: nn.Module,
    generator: torch.Generator,
    *,
    factory: Callable[[], nn.Module] | None = None,
) -> None:
    """Draw all weights and buffers anew, in place, by the law of the network's constructor.

    Args:
        model: The network.
        generator: Gives the seed; torch's own generators are used under it and put back.
        factory: Builds such a network, e.g. `lambda: Conv4(num_classes=10)`: its weights are copied. This is the
            constructor's law whatever the constructor does. None: `reset_parameters` of every module, parts before
            their owners. That is the law of torch's own modules; a constructor that afterwards sets weights of
            its own (another initialisation, tied or pretrained weights) is not repeated, so give a factory then.

    Raises:
        ValueError: A module has weights and no `reset_parameters` (all such are listed), or the factory's network has
            other names or shapes.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator, device=generator.device))
    with seeded(seed):
        if factory is None:
            _reset(model)
        else:
            _copy(factory(), model)


def compute_sanity_controls(
    model: nn.Module,
    mask: Mapping[str, Tensor],
    train_fn: Callable[[nn.Module, PruningMask], Any],
    eval_fn: Callable[[nn.Module], float],
    *,
    generator: torch.Generator,
    rewind_weights: Mapping[str, Tensor] | None = None,
    controls: Sequence[Control] = ("ticket", "reinit", "shuffled", "random"),
    factory: Callable[[], nn.Module] | None = None,
    progress: Telling = None,
) -> dict[str, Any]:
    """Train the ticket and its controls from the same start, with the same budget and the same random numbers.

    - ticket: the weights as they are, and the mask;
    - reinit: the mask, on weights drawn anew (`reinitialize`);
    - shuffled: the weights as they are, the mask shuffled within each layer (`shuffle_in_layer`);
    - random: the weights as they are, and as many weights kept, at random over the whole network.

    One training each says little: repeat with further generators, and compare means over at least three.

    Args:
        model: The network, at the weights that training starts from (the rewound ones, not the trained) unless
            `rewind_weights` are given. Left as found, which takes one copy of its weights.
        mask: The ticket.
        train_fn: train_fn(model, mask) trains in place and keeps pruned weights at zero, by mask.apply(model) after
            every step. The weights are masked when it is called, and torch is seeded the same for each call.
        eval_fn: eval_fn(model) -> performance, the higher the better.
        generator: Draws masks and seeds.
        rewind_weights: Parameters and buffers that training starts from, e.g. a finder's `rewind_weights`. None: the
            network's own.
        controls: Which of these to train, in this order.
        factory: See `reinitialize`.
        progress: Who is told.

    Returns:
        performance: control -> what eval_fn gave; gap: control -> ticket's performance minus the control's, if the
        ticket is among them; kept: control -> weights kept; revived: control -> pruned weights that are not zero after
        training (not 0: train_fn does not keep the mask, and the figures do not mean what they should).

    Raises:
        ValueError: A control is unknown or there is none, the mask or rewind_weights do not fit (all faults are
            listed), or weights cannot be drawn anew.
    """
    unknown = [one for one in controls if one not in ("ticket", "reinit", "shuffled", "random")]
    if unknown or not controls:
        raise ValueError(
            f"controls are {list(controls)}: use some of 'ticket', 'reinit', 'shuffled', 'random'"
        )
    ticket = dict(mask)
    parameters = named(model)
    masks.check_fit(ticket, {name: parameters[name] for name in ticket if name in parameters})
    if rewind_weights is not None:
        check_state(model, rewind_weights, "rewind_weights")
    if "reinit" in controls and factory is None:
        _resettable(model)
    seed = int(torch.randint(1 << 62, (), generator=generator, device=generator.device))
    performance: dict[str, float] = {}
    kept: dict[str, int] = {}
    revived: dict[str, int] = {}
    for control in follow(controls, "training controls", len(controls), progress):
        mine = _mask_of(control, ticket, parameters, generator)
        with preserved(model, training=True, weights=True):
            if rewind_weights is not None:
                put(model, rewind_weights)
            if control == "reinit":
                reinitialize(model, generator, factory=factory)
            masks.apply(model, mine)
            with seeded(seed):
                train_fn(model, PruningMask.of(mine))
                performance[control] = float(eval_fn(model))
            revived[control] = sum(
                int((~one.to(parameters[name].device) & (parameters[name] != 0)).sum())
                for name, one in mine.items()
            )
        kept[control] = sum(left for left, _ in masks.counts(mine).values())
    best = performance.get("ticket")
    gap = {} if best is None else {n: best - p for n, p in performance.items() if n != "ticket"}
    return {"performance": performance, "gap": gap, "kept": kept, "revived": revived}


def _mask_of(
    control: str, ticket: Mask, parameters: Mapping[str, Tensor], generator: torch.Generator
) -> Mask:
    if control == "shuffled":
        return shuffle_in_layer(ticket, generator)
    if control == "random":
        weights = {name: parameters[name] for name in ticket}
        sparsity = masks.sparsity(ticket)
        return prune(weights, target_sparsity=sparsity, score="random", generator=generator)
    return ticket


def _resettable(model: nn.Module) -> list[Callable[[], Any]]:
    """What draws each module's weights anew."""
    resets, missing = [], []
    # Parts before their owners, as a constructor makes them: attention sets its output's bias after that was drawn.
    for name, module in reversed(list(model.named_modules())):
        reset = getattr(module, "reset_parameters", None) or getattr(
            module, "_reset_parameters", None
        )
        if callable(reset):
            resets.append(reset)
        elif any(True for _ in module.parameters(recurse=False)):
            missing.append(f"{name or 'the network itself'} ({type(module).__name__})")
    if missing:
        raise ValueError(
            f"the law of these modules' weights is not known, as they have no reset_parameters: {', '.join(missing)}; "
            "give factory, a function that builds such a network"
        )
    return resets


def _reset(model: nn.Module) -> None:
    for reset in _resettable(model):
        with torch.no_grad():
            reset()


def _copy(source: nn.Module, target: nn.Module) -> None:
    theirs = {**dict(source.named_parameters()), **dict(source.named_buffers())}
    mine = {**dict(target.named_parameters()), **dict(target.named_buffers())}
    faults = sorted(theirs.keys() ^ mine.keys()) + [
        n for n in mine if n in theirs and mine[n].shape != theirs[n].shape
    ]
    if faults:
        raise ValueError(
            f"the factory builds another network, which differs in {', '.join(faults)}: let it build one like the model"
        )
    with torch.no_grad():
        for name, tensor in mine.items():
            tensor.copy_(theirs[name])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's own generators begin at the seed; afterwards they go on where they were."""
    gpus = range(torch.cuda.device_count()) if gpu_in_use() else ()
    with torch.random.fork_rng(gpus):
        torch.manual_seed(seed)
        yield
