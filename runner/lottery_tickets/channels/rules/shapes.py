"""Functions that only move elements: views, permutations, joining and cutting, padding."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from lottery_tickets.channels.numbers import Number
from lottery_tickets.channels.relations import FIXED
from lottery_tickets.channels.rules.elementwise import same
from lottery_tickets.channels.tracing import (
    Call,
    Labels,
    Rule,
    Trace,
    numbers_in,
    plain,
    tensors_in,
)


def view(trace: Trace, call: Call) -> Labels:
    """view, reshape, flatten, unflatten: blocks of dimensions that hold the same elements."""
    tensor = call.arg(0, "input")
    labels = trace.labels(tensor)
    wanted: list[Any] = list(
        call.result.shape
    )  # what the code says of each dimension of the output
    if call.name in ("view", "reshape"):
        given = call.kwargs.get("shape", call.kwargs.get("size", call.args[1:]))
        if len(given) == 1 and isinstance(given[0], torch.dtype):
            return same(trace, call) or []
        wanted = list(given[0] if len(given) == 1 and isinstance(given[0], Sequence) else given)
    elif call.name == "unflatten":
        dim = int.__int__(call.arg(1, "dim")) % tensor.dim()
        sizes = list(call.arg(2, "sizes"))
        wanted = [-1] * dim + sizes + [-1] * (tensor.dim() - dim - 1)
    else:
        wanted = [-1] * len(wanted)
    if call.name in ("unflatten", "flatten", "ravel"):
        for number in numbers_in(call.args[1:2]):
            trace.sizes.escape(number, call.where)
    found: Labels = [None] * len(wanted)
    for ins, outs in _blocks(list(tensor.shape), list(call.result.shape)):
        _view_block(trace, call, [(labels[d], tensor.shape[d]) for d in ins], outs, wanted, found)
    for dim, number in enumerate(wanted):
        if number != -1 if not isinstance(number, Number) else True:
            trace.sizes.require(number, found[dim], call.where)
    return found


def _view_block(
    trace: Trace,
    call: Call,
    ins: list[tuple[Tensor | None, int]],
    outs: list[int],
    wanted: list[Any],
    found: Labels,
) -> None:
    labelled = [place for place, (atoms, _) in enumerate(ins) if atoms is not None]
    if not labelled:
        return
    if len(labelled) > 1:
        why = f"{call.where}: two dimensions that hold channels become one"
        trace.lock([atoms for atoms, _ in ins], why)
        return
    place = labelled[0]
    atoms = ins[place][0]
    assert atoms is not None  # noqa: S101  # chosen so
    inner, outer = prod(n for _, n in ins[place + 1 :]), prod(n for _, n in ins[:place])
    flat = atoms.repeat_interleave(inner).repeat(outer)
    sizes = [call.result.shape[dim] for dim in outs]
    if len(outs) == 1:
        found[outs[0]] = flat
        return
    # One of the new dimensions gets shorter when channels go: one that the code does not write as a number.
    for index, dim in enumerate(outs):
        if isinstance(wanted[dim], Number) or wanted[dim] == -1:
            cube = flat.view(prod(sizes[:index]), sizes[index], -1)
            carried = cube[0, :, 0].clone()
            trace.relations.tie(
                carried.view(1, -1, 1).expand_as(cube).reshape(-1), flat, call.where
            )
            found[dim] = carried
            return
    why = f"{call.where}: cut into sizes that are written in the code (write -1 or x.shape[...] for one of them)"
    trace.relations.lock(flat, why)


def _blocks(before: list[int], after: list[int]) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of dimensions of equal product; dimensions of size 1 hold nothing and are left out."""
    if 0 in before:
        return []
    one, other = ([d for d, n in enumerate(shape) if n != 1] for shape in (before, after))
    blocks = []
    while one:
        ins, outs = [one.pop(0)], [other.pop(0)]
        left, right = before[ins[0]], after[outs[0]]
        while left != right:
            if left < right:
                ins.append(one.pop(0))
                left *= before[ins[-1]]
            else:
                outs.append(other.pop(0))
                right *= after[outs[-1]]
        blocks.append((ins, outs))
    return blocks


def permute(trace: Trace, call: Call) -> Labels:
    tensor = call.arg(0, "input")
    labels = trace.labels(tensor)
    _dimensions_escape(trace, call)
    if call.name in ("permute", "__permute__"):
        order = call.kwargs.get("dims", call.args[1:])
        order = order[0] if len(order) == 1 and isinstance(order[0], Sequence) else order
        return [labels[dim] for dim in plain(list(order))]
    if call.name in ("transpose", "swapaxes", "swapdims"):
        first = plain(call.arg(1, "dim0", call.kwargs.get("axis0")))
        second = plain(call.arg(2, "dim1", call.kwargs.get("axis1")))
        labels[first], labels[second] = labels[second], labels[first]
        return labels
    if call.name in ("get:mT", "get:mH", "adjoint"):
        return [*labels[:-2], labels[-1], labels[-2]]
    return labels[::-1]  # t, T


def squeeze(trace: Trace, call: Call) -> Labels:
    """Dimensions of size 1 hold no channels: the others stay in their order."""
    tensor = call.arg(0, "input")
    _dimensions_escape(trace, call)
    return _refill(
        [a for a, n in zip(trace.labels(tensor), tensor.shape, strict=True) if n != 1], call
    )


def _refill(wide: Labels, call: Call) -> Labels:
    left = iter(wide)
    return [None if n == 1 else next(left) for n in call.result.shape]


def expand(trace: Trace, call: Call) -> Labels:
    tensor = call.arg(0, "input")
    labels = trace.labels(tensor)
    added = call.result.dim() - tensor.dim()
    found = [*[None] * added, *labels]
    if call.name == "expand_as":
        other = trace.labels(call.arg(1, "other"))
        for dim, (mine, theirs) in enumerate(zip(found, other, strict=True)):
            if dim < added or tensor.shape[dim - added] == 1:
                found[dim] = theirs
            else:
                why = f"{call.where}: joined with something of fixed width"
                found[dim] = trace.tie(mine, theirs, why)
        return found
    sizes = call.kwargs.get("size", call.kwargs.get("shape", call.args[1:]))
    sizes = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
    for size, atoms in zip(sizes, found, strict=True):
        if isinstance(size, Number) or size != -1:
            trace.sizes.require(size, atoms, call.where)
    return found


def repeat(trace: Trace, call: Call) -> Labels:
    tensor = call.arg(0, "input")
    times = call.kwargs.get("repeats", call.args[1:])
    times = times[0] if len(times) == 1 and isinstance(times[0], Sequence) else times
    for number in numbers_in(list(times)):
        trace.sizes.escape(number, call.where)
    labels = [*[None] * (len(times) - tensor.dim()), *trace.labels(tensor)]
    return [
        None if atoms is None else atoms.repeat(int.__int__(n))
        for atoms, n in zip(labels, times, strict=True)
    ]


def join(trace: Trace, call: Call) -> Labels | None:
    """cat: the joined dimension holds all, the others become one."""
    tensors = [t for t in call.arg(0, "tensors") if t.numel() or t.dim() > 1]
    _dimensions_escape(trace, call)
    dim = plain(call.arg(1, "dim", call.kwargs.get("axis", 0))) % call.result.dim()
    labels = [trace.labels(tensor) for tensor in tensors]
    found: Labels = []
    for place in range(call.result.dim()):
        column = [one[place] for one in labels]
        if place != dim:
            joined = column[0]
            for other in column[1:]:
                joined = trace.tie(
                    joined, other, f"{call.where}: joined with something of fixed width"
                )
            found.append(joined)
        elif all(atoms is None for atoms in column):
            found.append(None)
        else:
            found.append(
                torch.cat(
                    [
                        torch.full((t.shape[dim],), FIXED, device="cpu") if a is None else a
                        for a, t in zip(column, tensors, strict=True)
                    ]
                )
            )
    return found


def stack(trace: Trace, call: Call) -> Labels:
    """A new dimension; the others become one."""
    labels = [trace.labels(tensor) for tensor in call.arg(0, "tensors")]
    _dimensions_escape(trace, call)
    dim = plain(call.arg(1, "dim", 0)) % call.result.dim()
    found = labels[0]
    for other in labels[1:]:
        why = f"{call.where}: joined with something of fixed width"
        found = [trace.tie(a, b, why) for a, b in zip(found, other, strict=True)]
    return [*found[:dim], None, *found[dim:]]


def cut(trace: Trace, call: Call) -> list[Labels | None]:
    """chunk, split, unbind: equal pieces lose the same places."""
    tensor = call.arg(0, "input", call.kwargs.get("tensor"))
    labels = trace.labels(tensor)
    usual = 0
    place = 1 if call.name == "unbind" else 2
    dim = plain(call.arg(place, "dim", usual)) % max(tensor.dim(), 1)
    atoms = labels[dim]
    if call.name == "unbind":
        trace.relations.lock(atoms, f"{call.where}: taken apart index by index")
        return [[*labels[:dim], *labels[dim + 1 :]] for _ in call.result]
    pieces: list[Tensor | None] = [None] * len(call.result)
    if atoms is not None:
        widths = [piece.shape[dim] for piece in call.result]
        parts = list(atoms.split(widths))
        pieces = [*parts]
        if len(set(widths)) == 1:
            for part in parts[1:]:
                trace.relations.tie(parts[0], part, f"{call.where}: pieces of equal width")
        elif call.name in ("chunk", "tensor_split"):
            trace.relations.lock(atoms, f"{call.where}: cut into pieces of unequal width")
    if call.name in ("split", "split_with_sizes"):
        sizes = call.arg(1, "split_size_or_sections", call.kwargs.get("split_size"))
        listed = list(sizes) if isinstance(sizes, Sequence) else [sizes] * len(pieces)
        whole = isinstance(sizes, Sequence) or len({len(p) for p in pieces if p is not None}) <= 1
        for size, piece in zip(listed, pieces, strict=True):
            if whole:
                trace.sizes.require(size, piece, call.where)
        if not whole:
            trace.relations.lock(atoms, f"{call.where}: cut into pieces of unequal width")
    else:
        for number in numbers_in(call.args[1:2]):
            trace.sizes.escape(number, call.where)
    return [[*labels[:dim], piece, *labels[dim + 1 :]] for piece in pieces]


def index(trace: Trace, call: Call) -> Labels | None:
    """x[...]: slices and single indices of dimensions without channels; whole dimensions pass."""
    tensor, key = call.args
    labels = trace.labels(tensor)
    keys = list(key) if isinstance(key, tuple) else [key]
    for number in numbers_in(keys):
        trace.sizes.escape(number, call.where)
    simple = all(k is None or k is ... or isinstance(k, int | slice) for k in keys)
    if not simple or any(isinstance(k, bool) for k in keys):
        why = f"{call.where}: picked by a tensor or list of indices"
        for one in tensors_in([tensor, keys]):
            trace.lock(trace.labels(one), why)
        return None
    taken = sum(k is not None and k is not ... for k in keys)
    if ... not in [k if k is ... else None for k in keys]:
        keys.append(...)
    found: Labels = []
    left = iter(zip(labels, tensor.shape, strict=True))
    for k in keys:
        if k is None:
            found.append(None)
        elif k is ...:
            found.extend(next(left)[0] for _ in range(tensor.dim() - taken))
        else:
            atoms, size = next(left)
            whole = isinstance(k, slice) and range(*plain(k).indices(size)) == range(size)
            whole = whole and plain(k).stop is None
            if not whole:
                trace.relations.lock(atoms, f"{call.where}: a part of them is picked by position")
            if isinstance(k, slice):
                found.append(atoms if whole else None)
    return found


def pad(trace: Trace, call: Call) -> Labels:
    """Padding a dimension of channels adds new ones, which go with those they are later joined with."""
    tensor, amounts = call.arg(0, "input"), list(call.arg(1, "pad"))
    labels = trace.labels(tensor)
    constant = call.arg(2, "mode", "constant") == "constant"
    for back in range(len(amounts) // 2):
        dim = tensor.dim() - 1 - back
        before, after = amounts[2 * back], amounts[2 * back + 1]
        atoms = labels[dim]
        ends = [int.__int__(before), int.__int__(after)]
        if atoms is None or ends == [0, 0]:
            for number in numbers_in([before, after]):
                trace.sizes.require(number, None, call.where)
            continue
        if not constant or min(ends) < 0:
            trace.relations.lock(atoms, f"{call.where}: channels are mirrored, repeated or cut off")
            labels[dim] = None
            continue
        pieces = []
        for amount, count in zip((before, after), ends, strict=True):
            new = trace.relations.fresh(count) if isinstance(amount, Number) and count else None
            trace.sizes.require(amount, new, call.where)
            pieces.append(torch.full((count,), FIXED, device="cpu") if new is None else new)
        labels[dim] = torch.cat([pieces[0], atoms, pieces[1]])
    return labels


def pixel_shuffle(trace: Trace, call: Call) -> Labels:
    """[C r r, H, W] to [C, H r, W r]: all r r channels of one go together."""
    labels = trace.labels(call.arg(0, "input"))
    factor = int.__int__(call.arg(1, "upscale_factor"))
    atoms = labels[-3]
    trace.lock(labels[-2:], f"{call.where}: a window goes along them")
    if atoms is not None:
        cube = atoms.view(-1, factor * factor)
        carried = cube[:, 0].clone()
        trace.relations.tie(carried.repeat_interleave(factor * factor), atoms, call.where)
        atoms = carried
    return [*labels[:-3], atoms, None, None]


def repeat_interleave(trace: Trace, call: Call) -> Labels | None:
    tensor, times = call.arg(0, "input"), call.arg(1, "repeats")
    dim = call.arg(2, "dim")
    labels = trace.labels(tensor)
    for number in numbers_in([times, dim]):
        trace.sizes.escape(number, call.where)
    if dim is None or isinstance(times, Tensor):
        trace.lock(labels, f"{call.where}: repeated in an uneven way")
        return None
    place = int.__int__(dim) % tensor.dim()
    atoms = labels[place]
    labels[place] = None if atoms is None else atoms.repeat_interleave(int.__int__(times))
    return labels


def _dimensions_escape(trace: Trace, call: Call) -> None:
    """Numbers that choose a dimension are not followed."""
    for number in numbers_in([call.args[1:], dict(call.kwargs)]):
        trace.sizes.escape(number, call.where)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "reshape", "flatten", "unflatten", "ravel"), view),
    **dict.fromkeys(("permute", "transpose", "swapaxes", "swapdims", "t", "adjoint"), permute),
    **dict.fromkeys(("get:T", "get:mT", "get:H", "get:mH"), permute),
    **dict.fromkeys(("squeeze", "unsqueeze"), squeeze),
    **dict.fromkeys(("expand", "expand_as"), expand),
    "repeat": repeat,
    "repeat_interleave": repeat_interleave,
    **dict.fromkeys(("cat", "concat", "concatenate"), join),
    "stack": stack,
    **dict.fromkeys(("chunk", "split", "split_with_sizes", "tensor_split", "unbind"), cut),
    "__getitem__": index,
    "pad": pad,
    "pixel_shuffle": pixel_shuffle,
}
