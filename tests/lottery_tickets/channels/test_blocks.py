"""What ties channels together, one small network each: what may go, what may not, and why."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from lottery_tickets import apply
from lottery_tickets.channels import ChannelGroups, channel_groups, compact, prune_channels

Awake = Callable[[nn.Module], nn.Module]


class Attention(nn.Module):
    """Heads by views of plain linear layers, written as its users do."""

    def __init__(self, width: int, heads: int, style: str) -> None:
        super().__init__()
        self.heads, self.head_dim, self.style = heads, width // heads, style
        self.all_heads = width
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        if self.style == "literal":
            return x.view(batch, tokens, 4, 4).transpose(1, 2)
        if self.style == "head dim free":
            return x.view(batch, tokens, self.heads, -1).transpose(1, 2)
        return x.view(batch, tokens, self.heads, self.head_dim).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        if self.style == "fused":
            mixed = functional.scaled_dot_product_attention(q, k, v)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            mixed = scores.softmax(dim=-1) @ v
        mixed = mixed.transpose(1, 2).contiguous()
        if self.style == "input width":
            return self.out(mixed.view(*x.shape))
        if self.style == "attribute":
            return self.out(mixed.view(*mixed.shape[:2], self.all_heads))
        if self.style == "product":
            return self.out(mixed.reshape(x.size(0), x.size(1), self.heads * self.head_dim))
        return self.out(mixed.flatten(2))


class Block(nn.Module):
    def __init__(self, attention: nn.Module, width: int = 16) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = attention
        self.up, self.down = nn.Linear(width, 32), nn.Linear(32, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.before(x))
        return x + self.down(functional.gelu(self.up(self.between(x))))


class Function(nn.Module):
    """Layers by keyword, put together by a function of (self, x)."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **layers: Any) -> None:
        super().__init__()
        self.calls = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Any:
        return self.calls(self, x)


def pruned(
    model: nn.Module, example: Tensor, target: float = 0.4, **options: Any
) -> tuple[ChannelGroups, nn.Module]:
    """The groups, and the network with that fraction of channels cut out; compared with a masked copy."""
    model.eval()
    plan = prune_channels(
        model, example, target_sparsity=target, of="channels", scope="layer", **options
    )
    smaller = compact(model, plan)
    masked = copy.deepcopy(model)
    apply(masked, plan.mask)
    with torch.no_grad():
        expected, found = masked(example), smaller(example)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(example), expected, atol=1e-3), "nothing was pruned"
    return plan.groups, smaller


def conv(before: int, after: int, kernel: int = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, padding=kernel // 2, **options)


IMAGE = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
TOKENS = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("style", ["plain", "fused", "head dim free", "attribute", "product"])
def test_heads_and_hidden_width_of_a_transformer_block_go(awake: Awake, style: str) -> None:
    model = awake(Block(Attention(16, 4, style)))
    groups, smaller = pruned(model, TOKENS, 0.5)
    assert {g.name: g.channels for g in groups.groups} == {"attention.q": 4, "up": 32}
    assert smaller.attention.heads == 2
    assert type(smaller.attention.heads) is int
    assert smaller.attention.head_dim == 4
    assert smaller.attention.all_heads == (8 if style == "attribute" else 16)
    assert smaller.attention.q.weight.shape == (8, 16)
    assert smaller.attention.out.in_features == 8
    assert smaller.up.out_features == smaller.down.in_features == 16


@pytest.mark.parametrize(
    ("style", "why"),
    [("literal", "written in the code"), ("input width", "does not follow the channels")],
)
def test_heads_whose_number_the_code_fixes_stay(awake: Awake, style: str, why: str) -> None:
    groups, _ = pruned(awake(Block(Attention(16, 4, style))), TOKENS)
    assert [g.name for g in groups.groups] == ["up"]
    assert why in groups.untouched["attention.v"].why
    assert groups.untouched["attention.v"].channels == 16
    assert "fixed width" in groups.untouched["down"].why


def test_packed_query_key_value_loses_heads(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // 4).permute(2, 0, 3, 1, 4)
        q, k, v = qkv
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, -1))

    model = Function(forward, heads=4, qkv=nn.Linear(16, 48), out=nn.Linear(16, 16))
    groups, smaller = pruned(awake(model), TOKENS, 0.5)
    assert [(g.name, g.channels) for g in groups.groups] == [("qkv", 4)]
    assert (smaller.heads, smaller.qkv.out_features, smaller.out.in_features) == (2, 24, 8)
    assert model.heads == 4
    assert type(model.heads) is int


def test_grouped_query_attention_loses_a_key_head_with_its_queries(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        parts = [m(x).unflatten(2, (-1, 4)).transpose(1, 2) for m in (self.q, self.k, self.v)]
        mixed = functional.scaled_dot_product_attention(*parts, enable_gqa=True)
        return self.out(mixed.transpose(1, 2).flatten(2))

    layers = {"q": nn.Linear(16, 16), "k": nn.Linear(16, 8), "v": nn.Linear(16, 8)}
    model = Function(forward, **layers, out=nn.Linear(16, 16))
    groups, smaller = pruned(awake(model), TOKENS, 0.5)
    assert [g.channels for g in groups.groups] == [2]
    assert (smaller.q.out_features, smaller.k.out_features) == (8, 4)


def test_a_width_that_scales_attention_stays(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        q = self.q(x)
        return self.out(self.up(x) / math.sqrt(q.shape[-1]) + self.mid(q))

    layers = {"q": nn.Linear(16, 12), "mid": nn.Linear(12, 8), "up": nn.Linear(16, 8)}
    groups, _ = pruned(awake(Function(forward, **layers, out=nn.Linear(8, 3))), TOKENS)
    assert [g.name for g in groups.groups] == ["mid"]
    assert "computes with their number" in groups.untouched["q"].why


@pytest.mark.parametrize("first", [False, True])
def test_torchs_own_encoder_layer_loses_its_hidden_width(awake: Awake, first: bool) -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=first)
    groups, smaller = pruned(awake(layer), TOKENS, 0.5)
    assert [(g.name, g.channels) for g in groups.groups] == [("linear1", 32)]
    assert smaller.linear1.out_features == 16


def test_multihead_attention_is_named_with_the_remedy(awake: Awake) -> None:
    layers = {
        "lift": nn.Linear(16, 16),
        "attention": nn.MultiheadAttention(16, 4),
        "up": nn.Linear(16, 8),
    }
    model = Function(
        lambda self, x: self.down(self.up(self.attention(*[self.lift(x)] * 3)[0])),
        **layers,
        down=nn.Linear(8, 2),
    )
    groups, _ = pruned(awake(model), TOKENS)
    assert [g.name for g in groups.groups] == ["up"]
    assert "write q, k and v as nn.Linear" in groups.untouched["lift"].why


def test_group_norm_takes_whole_groups(awake: Awake) -> None:
    model = nn.Sequential(conv(3, 12), nn.GroupNorm(4, 12), nn.ReLU(), conv(12, 5))
    groups, smaller = pruned(awake(model), IMAGE, 0.5)
    assert [(g.name, g.channels) for g in groups.groups] == [("0", 4)]
    assert (smaller[1].num_groups, smaller[1].num_channels) == (2, 6)


def test_what_one_norm_averages_over_stays(awake: Awake) -> None:
    model = nn.Sequential(conv(3, 12), nn.GroupNorm(1, 12), conv(12, 6), nn.ReLU(), conv(6, 2))
    groups, _ = pruned(awake(model), IMAGE)
    assert [g.name for g in groups.groups] == ["2"]
    assert "norm averages" in groups.untouched["0"].why


def test_instance_norm_and_slopes_go_along(awake: Awake) -> None:
    model = nn.Sequential(
        conv(3, 8),
        nn.InstanceNorm2d(8),
        nn.PReLU(8),
        conv(8, 6),
        nn.BatchNorm2d(6, affine=False),
        conv(6, 2),
    )
    _, smaller = pruned(awake(model), IMAGE, 0.5)
    assert (smaller[1].num_features, smaller[2].num_parameters) == (4, 4)
    assert smaller[4].num_features == len(smaller[4].running_mean) == 3


def test_grouped_and_depthwise_convolutions_lose_whole_groups(awake: Awake) -> None:
    model = nn.Sequential(
        *(conv(3, 12), nn.ReLU(), conv(12, 8, groups=4), nn.ReLU()),
        *(conv(8, 16, groups=8), nn.ReLU(), conv(16, 4, 1)),
    )
    groups, smaller = pruned(awake(model), IMAGE, 0.5)
    # A group of the grouped convolution makes two channels, of which the next makes two each.
    assert [(g.name, g.channels) for g in groups.groups] == [("0", 4)]
    assert (smaller[2].groups, smaller[2].in_channels, smaller[2].out_channels) == (2, 6, 4)
    assert (smaller[4].groups, smaller[4].in_channels, smaller[4].out_channels) == (4, 4, 8)


def test_transposed_convolutions(awake: Awake) -> None:
    model = nn.Sequential(
        *(
            conv(3, 8),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 6, 2, stride=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
        ),
        *(nn.ConvTranspose2d(6, 12, 2, stride=2, groups=3), nn.ReLU(), conv(12, 2)),
    )
    groups, smaller = pruned(awake(model), IMAGE, 0.4)
    assert [(g.name, g.channels) for g in groups.groups] == [("0", 8), ("2", 3)]
    assert smaller[2].in_channels == smaller[0].out_channels < 8
    assert smaller[5].groups * 2 == smaller[5].in_channels == smaller[5].out_channels // 2


def test_concatenation_keeps_each_sources_place(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        one, two = functional.relu(self.one(x)), self.two(x)
        joined = torch.cat([one, x, two], dim=1)
        return self.last(torch.cat([joined, self.more(joined)], 1).mean((2, 3)))

    layers = {"one": conv(3, 8), "two": conv(3, 4), "more": conv(15, 6), "last": nn.Linear(21, 2)}
    groups, smaller = pruned(awake(Function(forward, **layers)), IMAGE, 0.5)
    assert [(g.name, g.channels) for g in groups.groups] == [("one", 8), ("two", 4), ("more", 6)]
    assert smaller.more.in_channels == 4 + 3 + 2
    assert smaller.last.in_features == 9 + 3


def test_gated_halves_go_in_pairs(awake: Awake) -> None:
    model = nn.Sequential(nn.Linear(16, 24), Function(_gated), nn.Linear(12, 2))
    groups, smaller = pruned(awake(model), TOKENS, 0.5)
    assert [g.channels for g in groups.groups] == [12]
    assert (smaller[0].out_features, smaller[2].in_features) == (12, 6)


def _gated(self: Any, x: Tensor) -> Tensor:
    value, gate = x.chunk(2, dim=-1)
    return value * gate.sigmoid()


def test_squeeze_and_excitation(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.first(x)
        gate = self.up(functional.relu(self.down(x.mean((2, 3))))).sigmoid()
        return self.last(x * gate[:, :, None, None])

    layers = {
        "first": conv(3, 8),
        "down": nn.Linear(8, 4),
        "up": nn.Linear(4, 8),
        "last": conv(8, 2),
    }
    groups, _ = pruned(awake(Function(forward, **layers)), IMAGE, 0.5)
    made = {m.name for m in groups["first"].members if m.role == "rows"}
    assert made == {"first.weight", "up.weight"}


def test_a_module_used_twice_is_tied_to_itself(awake: Awake) -> None:
    layers = {"first": conv(3, 8), "twice": conv(8, 8), "last": conv(8, 2)}
    model = Function(
        lambda self, x: self.last(self.twice(self.twice(self.first(x)).relu()).relu()), **layers
    )
    groups, smaller = pruned(awake(model), IMAGE, 0.5)
    assert [(g.name, g.channels) for g in groups.groups] == [("first", 8)]
    assert smaller.twice.weight.shape == (4, 4, 3, 3)


def test_tied_weights_stay_tied(awake: Awake) -> None:
    one, other = nn.Linear(16, 16), nn.Linear(16, 16)
    other.weight = one.weight
    model = nn.Sequential(
        nn.Linear(16, 16), nn.ReLU(), one, nn.ReLU(), other, nn.ReLU(), nn.Linear(16, 2)
    )
    groups, smaller = pruned(awake(model), TOKENS, 0.5)
    assert [g.channels for g in groups.groups] == [16]
    assert smaller[2].weight is smaller[4].weight
    assert smaller[2].weight.shape == (8, 8)


def test_an_embedding_that_is_the_output_layer_too_keeps_its_width(awake: Awake) -> None:
    words, head = nn.Embedding(11, 16), nn.Linear(16, 11, bias=False)
    head.weight = words.weight
    model = nn.Sequential(words, nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 16), head)
    awake(model)
    plan = prune_channels(model, torch.tensor([[1, 2, 3]]), target_sparsity=0.3)
    smaller = compact(model, plan)
    assert [g.name for g in plan.groups.groups] == ["1"]
    assert smaller[4].weight is smaller[0].weight
    assert "tied or not prunable" in plan.groups.untouched["3"].why


def test_an_embeddings_width_goes_with_what_is_added(awake: Awake) -> None:
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.lift = nn.Embedding(11, 16), nn.Linear(4, 16)
            self.places = nn.Parameter(torch.zeros(1, 3, 16))
            self.last = nn.Linear(16, 2)

        def forward(self, words: Tensor, features: Tensor) -> Tensor:
            return self.last(self.words(words) + self.lift(features) + self.places)

    model = awake(Bag())
    example = {"words": torch.tensor([[1, 2, 3]]), "features": torch.rand(1, 3, 4)}
    plan = prune_channels(model, example, target_sparsity=0.5)
    smaller = compact(model, plan)
    assert smaller.places.shape == (1, 3, 8)
    assert smaller.words.embedding_dim == 8


def test_padded_channels_follow_attributes_alone(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.first(x)
        padded = functional.pad(x, (0, 0, 0, 0, self.left, self.right))
        return self.last(padded + self.second(x))

    layers = {"first": conv(3, 4), "second": conv(4, 10), "last": conv(10, 2)}
    groups, smaller = pruned(awake(Function(forward, left=3, right=3, **layers)), IMAGE, 0.5)
    assert groups.channels == 10
    assert smaller.left + smaller.first.out_channels + smaller.right == 5

    def written(self: Any, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(functional.pad(x, (0, 0, 0, 0, 3, 3)) + self.second(x))

    groups, _ = pruned(awake(Function(written, **layers)), IMAGE)
    assert groups.channels == 4, "those that are padded with a written number stay"
    assert groups.untouched["second"].channels == 6


def test_channel_shuffle_and_pixel_shuffle(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = torch.cat([self.one(x), self.two(x)], 1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        x = x.reshape(batch, -1, height, width)
        return self.last(functional.pixel_shuffle(self.wide(x), 2))

    layers = {"one": conv(3, 6), "two": conv(3, 6), "wide": conv(12, 16), "last": conv(4, 2)}
    groups, smaller = pruned(awake(Function(forward, **layers)), IMAGE, 0.5)
    assert [(g.name, g.channels) for g in groups.groups] == [("one", 6), ("wide", 4)]
    assert smaller.one.out_channels == smaller.two.out_channels == 3
    assert smaller.wide.out_channels == 8


def test_what_the_code_asserts_of_a_width_follows(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.first(x)
        assert x.shape[1] == self.width
        return self.last(x)

    model = Function(forward, width=8, first=conv(3, 8), last=conv(8, 2))
    _, smaller = pruned(awake(model), IMAGE, 0.5)
    assert smaller.width == 4


def test_the_sizes_that_layers_state_follow(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.first(x)
        pairs = x.view(-1, self.first.out_features)
        return self.last(pairs.view(x.shape[0], x.shape[1], self.last.in_features))

    layers = {"first": nn.Linear(16, 8), "last": nn.Linear(8, 2)}
    groups, _ = pruned(awake(Function(forward, **layers)), TOKENS, 0.5)
    assert [g.name for g in groups.groups] == ["first"]

    model = Function(
        lambda self, x: self.up(x) * self.first.out_features, up=nn.Linear(8, 2), **layers
    )
    model.calls = lambda self, x: self.last(self.up(self.first(x)) / self.first.out_features)
    model.up, model.last = nn.Linear(8, 6), nn.Linear(6, 2)
    groups, _ = pruned(awake(model), TOKENS, 0.5)
    assert [g.name for g in groups.groups] == ["up"]
    assert "computes with their number" in groups.untouched["first"].why


def test_a_layer_that_did_not_run_is_named(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.side(x) if self.training else self.last(x)

    layers = {"first": nn.Linear(16, 8), "last": nn.Linear(8, 2), "side": nn.Linear(8, 2)}
    groups, _ = pruned(awake(Function(forward, **layers)), TOKENS)
    assert [g.name for g in groups.groups] == ["first"]
    assert "did not run" in groups.untouched["side"].why


def test_control_flow_and_one_dimensional_convolutions(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x) if x.shape[-1] > 15 else x
        return self.last(x.amax(-1))

    layers = nn.ModuleList([nn.Conv1d(5, 8, 3), nn.Conv1d(8, 6, 3)])
    model = Function(forward, layers=layers, last=nn.Linear(8, 2))
    groups, _ = pruned(awake(model), TOKENS, 0.5)
    assert [(g.name, g.channels) for g in groups.groups] == [("layers.0", 8)]


def test_unknown_functions_lock_what_they_touch_and_are_named(awake: Awake) -> None:
    layers = {
        "first": nn.Linear(16, 8),
        "cell": nn.GRU(8, 8),
        "up": nn.Linear(8, 6),
        "down": nn.Linear(6, 2),
    }
    model = Function(lambda self, x: self.down(self.up(self.cell(self.first(x))[0])), **layers)
    groups, _ = pruned(awake(model), TOKENS)
    assert [g.name for g in groups.groups] == ["up"]
    assert groups.untouched["first"].why == (
        "cell (gru): how this function treats channels is not known"
    )


def test_computed_weights_are_left_whole(awake: Awake) -> None:
    model = nn.Sequential(conv(3, 8), weight_norm(conv(8, 6)), conv(6, 4), conv(4, 2))
    groups, _ = pruned(awake(model), IMAGE)
    assert [g.name for g in groups.groups] == ["2"]
    assert "parametrizations" in groups.untouched["0"].why


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x[:, 1:],
        lambda x: x.sum(1, keepdim=True) + x,
        lambda x: x.softmax(1),
        lambda x: x + torch.ones(8, 1, 1),
        lambda x: x.flip(1),
        lambda x: torch.stack(list(x.unbind(1)), 1),
        lambda x: x + x.shape[1],
        lambda x: x * float(x.shape[1]),
        lambda x: x.view(2, 8, 64).view(2, 8, 8, 8),
        lambda x: torch.nn.functional.local_response_norm(x, 3),
        lambda x: x.cumsum(1),
    ],
)
def test_uses_that_need_every_channel_keep_them(
    awake: Awake, use: Callable[[Tensor], Tensor]
) -> None:
    layers = {"first": conv(3, 8), "second": nn.LazyConv2d(6, 1), "last": conv(6, 2)}
    model = Function(lambda self, x: self.last(self.second(use(self.first(x)))), **layers)
    model(IMAGE)
    groups, _ = pruned(awake(model), IMAGE)
    names = [g.name for g in groups.groups]
    if use(torch.rand(2, 8, 8, 8)).shape == (2, 8, 8, 8) and "first" in names:
        pytest.fail(f"first may not go: {groups['first'].members}")
    assert names == ["second"]
    assert groups.untouched["first"].why


def test_einsum_by_letters(awake: Awake) -> None:
    def forward(self: Any, x: Tensor) -> Tensor:
        return self.last(torch.einsum("btc,bsc,bsd->btd", self.key(x), self.key(x), self.value(x)))

    layers = {"key": nn.Linear(16, 6), "value": nn.Linear(16, 8), "last": nn.Linear(8, 2)}
    groups, _ = pruned(awake(Function(forward, **layers)), TOKENS)
    assert [g.name for g in groups.groups] == ["value"]


def test_hooks_modes_attributes_and_gradients_are_left_as_found(awake: Awake) -> None:
    model = awake(Block(Attention(16, 4, "plain"))).train()
    model.up.eval()
    model.up.weight.grad = torch.ones_like(model.up.weight)
    seen: list[int] = []
    model.up.register_forward_hook(lambda *_: seen.append(1))
    attributes = {name: dict(vars(module)) for name, module in model.named_modules()}
    hooks = {name: len(m._forward_hooks) for name, m in model.named_modules()}
    plan = prune_channels(model, TOKENS, target_sparsity=0.3)
    smaller = compact(model, plan)
    assert {name: len(m._forward_hooks) for name, m in model.named_modules()} == hooks
    for name, module in model.named_modules():
        for key, value in attributes[name].items():
            if isinstance(value, int):
                assert type(vars(module)[key]) is type(value), (name, key)
                assert vars(module)[key] == value
    assert model.training
    assert not model.up.training
    assert smaller.up.weight.grad is not None
    assert smaller.up.weight.grad.shape == smaller.up.weight.shape

    broken = Function(lambda self, x: self.up(self.up(x)), up=nn.Linear(16, 8), width=8)
    with pytest.raises(ValueError, match="does not run on example_inputs"):
        channel_groups(broken, TOKENS)
    assert type(broken.width) is int
    assert type(broken.up.in_features) is int
    assert not broken.up._forward_hooks
    assert not broken.up._forward_pre_hooks


def test_the_meta_device_does_for_analysis_and_compaction() -> None:
    with torch.device("meta"):
        model = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 2))
        example = torch.empty(1, 3, 8, 8)
    scores = {"0": torch.arange(8.0)}
    plan = prune_channels(model, example, target_sparsity=0.5, of="channels", score=scores)
    smaller = compact(model, plan)
    assert smaller[0].weight.shape == (4, 3, 3, 3)
    assert smaller[0].weight.is_meta


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_and_frozen_weights_stay_as_they_are(awake: Awake, dtype: torch.dtype) -> None:
    model = awake(nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 2))).to(dtype)
    model[0].weight.requires_grad_(False)
    model = model.to(memory_format=torch.channels_last)
    smaller = compact(model, prune_channels(model, IMAGE.to(dtype), target_sparsity=0.5))
    assert smaller[0].weight.dtype == dtype
    assert not smaller[0].weight.requires_grad
    assert smaller[3].weight.requires_grad
    assert smaller[0].weight.is_contiguous(memory_format=torch.channels_last)
