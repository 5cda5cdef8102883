"""Which channels a network has, and which slices of which parameters each of them is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lottery_tickets.channels.numbers import Attribute
from lottery_tickets.channels.tracing import Product, Role, Trace
from lottery_tickets.channels.watching import trace
from lottery_tickets.modules import prunable


@dataclass(frozen=True, eq=False)
class Member:
    """One dimension of a parameter or buffer, as far as it belongs to a group."""

    name: str
    """The parameter or buffer."""
    dim: int
    channel: Tensor
    """For each index of the dimension the channel it belongs to, -1 where to none of this group: int64 [size]."""
    times: int
    """Indices of this dimension that are one channel: 49 for a linear layer after a map of 7 x 7 is flattened."""
    role: Role


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Channels of one kind: of each, the slices of all members are removed together or not at all.

    A channel is the least that can go: a feature of a layer, a whole group of a grouped convolution or group norm,
    an attention head.
    """

    name: str
    """The first module, in parameter order, that makes these channels."""
    channels: int
    members: tuple[Member, ...]
    steady: bool
    """Whether a channel without weights of its own is a constant: nothing else is mixed into it."""


@dataclass(frozen=True)
class Untouched:
    """Channels of a layer that nothing may remove, and why."""

    channels: int
    why: str


@dataclass(frozen=True, eq=False)
class Follower:
    """An attribute of a module that counts channels: it becomes the number of those indices that are left."""

    module: str
    name: str
    groups: tuple[tuple[str, Tensor], ...]
    """Group -> the channels that are counted, some perhaps several times: int64."""
    fixed: int


@dataclass(frozen=True, eq=False)
class ChannelGroups:
    """What `channel_groups` found."""

    groups: tuple[ChannelGroup, ...]
    untouched: dict[str, Untouched]
    """Layer -> its outputs that are left whole, and why."""
    followers: tuple[Follower, ...]
    products: tuple[Product, ...]
    """Every use of a weight in the example's run: multiply-adds are positions x elements of the weight."""
    shapes: dict[str, tuple[int, ...]]
    """Of every parameter and buffer."""
    parameters: tuple[str, ...]
    weights: tuple[str, ...]
    """The weights that a mask covers: `prunable`, without those excluded."""
    example_inputs: Any = field(repr=False)

    def __getitem__(self, name: str) -> ChannelGroup:
        return next(group for group in self.groups if group.name == name)

    @property
    def channels(self) -> int:
        """All channels that may be removed, over all groups."""
        return sum(group.channels for group in self.groups)


def channel_groups(
    model: nn.Module, example_inputs: Any, *, exclude: Sequence[str] = ()
) -> ChannelGroups:
    """The network's channels, by the slices of parameters that have to go together (Fang et al. 2023, section 3.2).

    The network runs once on the example, in eval mode. What its code does then is what counts (a branch that runs in
    training alone, such as a side exit, is not seen; its layers are in `untouched`): convolutions (grouped,
    depthwise, transposed), linear layers, norms, sums, concatenations, views, attention written with linear layers
    (whole heads), and so on. A channel is offered only if the network without it computes what it computes with the
    channel's weights masked. So the network's inputs and outputs stay, and what a layer norm averages over stays;
    channels that pass through a function without a rule stay too, and `untouched` says for each layer why.

    Args:
        model: Any network. It is left as it was found.
        example_inputs: A tensor, a tuple of positional or a dict of keyword arguments for `model(...)`. Batch 1 does.
        exclude: Patterns of weights that lose nothing, neither rows nor columns, see `prunable`. Output layers keep
            their outputs without it; excluding one keeps what it reads as well.

    Raises:
        ValueError: The network does not run on the example, or a pattern matches nothing.
    """
    weights = prunable(model, exclude)
    found = trace(model, example_inputs)
    _keep_uncovered(found, model, set(weights))
    root, attributes = found.sizes.settle(found.relations)
    why = _reasons(found, root)
    classes = _classes(found, root, why)
    groups = _groups(found, root, classes)
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    return ChannelGroups(
        groups=groups,
        untouched=_untouched(found, root, why),
        followers=_followers(groups, found, root, attributes),
        products=tuple(found.products),
        shapes={name: tuple(tensor.shape) for name, tensor in tensors.items()},
        parameters=tuple(name for name, _ in model.named_parameters()),
        weights=tuple(weights),
        example_inputs=example_inputs,
    )


def _keep_uncovered(found: Trace, model: nn.Module, covered: set[str]) -> None:
    """Lock what is read by weights that a mask does not cover: there, masking would not be removing."""
    every = prunable(model)
    for (name, dim), atoms in found.atoms.items():
        if name in every and name not in covered:
            found.relations.lock(atoms, f"{name} is excluded")
        elif name not in every and found.roles[name, dim] == "columns":
            found.relations.lock(atoms, f"{name}, which reads them, is tied or not prunable")


def _reasons(found: Trace, root: Tensor) -> dict[int, str]:
    """Root of each locked class -> the first reason given."""
    why: dict[int, str] = {}
    for lock in found.relations.locks:
        for one in torch.unique(root[lock.atoms]).tolist():
            why.setdefault(one, lock.why)
    return why


def _classes(found: Trace, root: Tensor, why: dict[int, str]) -> dict[int, list[tuple[int, int]]]:
    """Root of each class that may go -> its (member, how many indices), members in the order of `found.atoms`."""
    free: dict[int, list[tuple[int, int]]] = {}
    made: set[int] = set()
    for place, (key, atoms) in enumerate(_in_order(found)):
        roots, counts = torch.unique(root[atoms], return_counts=True)
        for one, count in zip(roots.tolist(), counts.tolist(), strict=True):
            if one not in why:
                free.setdefault(one, []).append((place, count))
        if found.roles[key] == "rows":
            made.update(roots.tolist())
    for one in free.keys() - made:
        why[one] = "no layer makes them"
    return {one: members for one, members in free.items() if one in made}


def _in_order(found: Trace) -> list[tuple[tuple[str, int], Tensor]]:
    """Members in parameter order, buffers last."""
    names = [*dict(found.model.named_parameters()), *dict(found.model.named_buffers())]
    order = {name: place for place, name in enumerate(names)}
    return sorted(found.atoms.items(), key=lambda item: (order[item[0][0]], item[0][1]))


def _groups(
    found: Trace, root: Tensor, classes: dict[int, list[tuple[int, int]]]
) -> tuple[ChannelGroup, ...]:
    """Classes with the same members, as many indices of each, are the channels of one group."""
    ordered = _in_order(found)
    kinds: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for one, held in classes.items():
        kinds.setdefault(tuple(held), []).append(one)
    channel = torch.full((len(root),), -1, device="cpu")
    mixed = torch.zeros(len(root), dtype=torch.bool, device="cpu")
    for atoms in found.mixed:
        mixed[root[atoms[atoms >= 0]]] = True
    groups = []
    names: dict[str, int] = {}
    for kind in sorted(kinds):
        first = next(place for place, _ in kind if found.roles[ordered[place][0]] == "rows")
        # Channels are numbered as they come in the layer that makes them.
        mine = torch.tensor(kinds[kind], device="cpu")
        channel.fill_(-1)
        channel[mine] = 0
        rows = root[ordered[first][1]]
        in_turn = list(dict.fromkeys(rows[channel[rows] == 0].tolist()))
        channel[torch.tensor(in_turn, device="cpu")] = torch.arange(len(in_turn), device="cpu")
        members: list[Member] = []
        for place, times in kind:
            (name, dim), atoms = ordered[place]
            members.append(Member(name, dim, channel[root[atoms]], times, found.roles[name, dim]))
        layer = _layer(ordered[first][0][0])
        names[layer] = names.get(layer, 0) + 1
        label = layer if names[layer] == 1 else f"{layer}#{names[layer]}"
        groups.append(
            ChannelGroup(label, len(in_turn), tuple(members), not bool(mixed[mine].any()))
        )
    return tuple(groups)


def _followers(
    groups: tuple[ChannelGroup, ...],
    found: Trace,
    root: Tensor,
    attributes: dict[Attribute, Tensor],
) -> tuple[Follower, ...]:
    """The attributes to set, in terms of groups."""
    group_of = torch.full((len(root),), -1, device="cpu")  # by the root of a class
    channel_of = group_of.clone()
    for place, group in enumerate(groups):
        for member in group.members:
            mine = member.channel >= 0
            roots = root[found.atoms[member.name, member.dim]][mine]
            group_of[roots], channel_of[roots] = place, member.channel[mine]
    followers = []
    for attribute, atoms in attributes.items():
        roots = root[atoms[atoms >= 0]]
        counted = tuple(
            (groups[place].name, channel_of[roots[group_of[roots] == place]])
            for place in torch.unique(group_of[roots]).tolist()
            if place >= 0
        )
        if counted:
            fixed = len(atoms) - sum(len(channels) for _, channels in counted)
            followers.append(Follower(attribute.module, attribute.name, counted, fixed))
    return tuple(followers)


def _untouched(found: Trace, root: Tensor, why: dict[int, str]) -> dict[str, Untouched]:
    """By layer, how many of the channels it makes are locked, and the first reason."""
    untouched = {}
    for (name, dim), atoms in _in_order(found):
        if found.roles[name, dim] == "rows":
            reasons = [why[one] for one in root[atoms].tolist() if one in why]
            if reasons:
                untouched[_layer(name)] = Untouched(len(reasons), reasons[0])
    for name, weight in prunable(found.model).items():
        if not any((name, dim) in found.atoms for dim in range(weight.dim())):
            untouched[_layer(name)] = Untouched(
                weight.shape[0],
                "it did not run on the example in eval mode, so that what leads to it cannot be seen",
            )
    return untouched


def _layer(name: str) -> str:
    """The module of a parameter."""
    return name.rpartition(".")[0] or name
