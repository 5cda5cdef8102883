"""Layers with weights: linear, convolution, embedding and the norms."""

from torch import Tensor

from lottery_tickets.channels.tracing import Call, Labels, Product, Rule, Trace, tensors_in


def linear(trace: Trace, call: Call) -> Labels:
    """Rows of the weight make channels of the last dimension, its columns read them."""
    features, weight, bias = (call.arg(i, n) for i, n in enumerate(("input", "weight", "bias")))
    labels = trace.labels(features)
    if trace.name_of(weight) is None:
        return _computed(trace, call, [features, weight, bias])
    trace.products.append(Product(_name(trace, weight), features.numel() // weight.shape[1]))
    columns = trace.slices(weight, 1, "columns")
    trace.tie(columns, labels[-1], f"{call.where}: reads something of fixed width")
    rows = trace.slices(weight, 0, "rows")
    return [*labels[:-1], _with_bias(trace, call, rows, bias)]


def transposed_linear(trace: Trace, call: Call) -> Labels:
    """The first dimension of the weight reads, the second makes channels: so GPT-2's `Conv1D` calls addmm."""
    bias, features, weight = (call.arg(i, n) for i, n in enumerate(("input", "mat1", "mat2")))
    if trace.name_of(weight) is None:
        return _computed(trace, call, [bias, features, weight])
    labels = trace.labels(features)
    trace.products.append(Product(_name(trace, weight), len(features)))
    columns = trace.slices(weight, 0, "columns")
    trace.tie(columns, labels[-1], f"{call.where}: reads something of fixed width")
    return [labels[0], _with_bias(trace, call, trace.slices(weight, 1, "rows"), bias)]


def convolution(trace: Trace, call: Call) -> Labels:
    """As linear, along the channel dimension."""
    images, weight, bias = (call.arg(i, n) for i, n in enumerate(("input", "weight", "bias")))
    groups = call.arg(6, "groups", 1)
    return _convolve(trace, call, (images, weight, bias), groups, transposed=False)


def transposed_convolution(trace: Trace, call: Call) -> Labels:
    """The first dimension of the weight reads, the second makes channels."""
    images, weight, bias = (call.arg(i, n) for i, n in enumerate(("input", "weight", "bias")))
    groups = call.arg(6, "groups", 1)
    return _convolve(trace, call, (images, weight, bias), groups, transposed=True)


def _convolve(
    trace: Trace,
    call: Call,
    tensors: tuple[Tensor, Tensor, Tensor | None],
    groups: int,
    *,
    transposed: bool,
) -> Labels:
    images, weight, bias = tensors
    if trace.name_of(weight) is None:
        return _computed(trace, call, [images, weight, bias])
    channel = images.dim() - (weight.dim() - 1)  # 1, or 0 without a batch dimension
    labels = trace.labels(images)
    for labelled in labels[channel + 1 :]:
        trace.relations.lock(labelled, f"{call.where}: a convolution goes along them")
    count = int.__int__(groups)
    over = images if transposed else call.result
    positions = over.numel() // over.shape[channel]
    trace.products.append(Product(_name(trace, weight), positions))
    before: list[Tensor | None] = [*labels[:channel]]
    after: list[Tensor | None] = [None] * (weight.dim() - 2)
    if count > 1:
        rows = _grouped(trace, call, (weight, bias), groups, labels[channel], transposed)
        return [*before, rows, *after]
    trace.sizes.require(groups, None, call.where)
    made, read = (1, 0) if transposed else (0, 1)
    columns = trace.slices(weight, read, "columns")
    trace.tie(columns, labels[channel], f"{call.where}: reads something of fixed width")
    rows = _with_bias(trace, call, trace.slices(weight, made, "rows"), bias)
    return [*before, rows, *after]


def _grouped(
    trace: Trace,
    call: Call,
    layer: tuple[Tensor, Tensor | None],
    groups: int,
    channels: Tensor | None,
    transposed: bool,
) -> Tensor | None:
    """Whole groups stay or go: the channels a group reads and those it makes together.

    For depthwise convolutions a group is one channel.
    """
    weight, bias = layer
    count = int.__int__(groups)
    first = trace.slices(weight, 0, "rows")
    if channels is None or first is None:
        trace.lock([channels, first], f"{call.where}: reads something of fixed width")
        rows = None if transposed else first
    else:
        heads = first.view(count, -1)[:, :1]
        trace.relations.tie(heads.expand(count, len(first) // count).reshape(-1), first, call.where)
        trace.relations.tie(
            heads.expand(count, len(channels) // count).reshape(-1), channels, call.where
        )
        trace.sizes.require(groups, heads.reshape(-1), call.where)
        rows = first
        if transposed:
            rows = heads.expand(count, weight.shape[1]).reshape(-1)
    if rows is not None and len(rows) == 1:
        rows = None
    return _with_bias(trace, call, rows, bias)


def embedding(trace: Trace, call: Call) -> Labels:
    """A row for each word: the width can go, the words stay."""
    words, weight = call.arg(0, "input"), call.arg(1, "weight")
    if trace.name_of(words) is not None:  # torch.embedding has them the other way round
        words, weight = weight, words
    if trace.name_of(weight) is None:
        return _computed(trace, call, [weight], words.dim() + 1)
    trace.relations.lock(trace.slices(weight, 0), f"{call.where}: the words of an embedding")
    return [*trace.labels(words), trace.slices(weight, 1)]


def channel_norm(trace: Trace, call: Call) -> Labels:
    """Batch norm and instance norm: every channel by itself, with its scale, shift and statistics."""
    images, *others = tensors_in([call.args, dict(call.kwargs)])
    labels = trace.labels(images)
    for other in others:
        atoms = trace.labels(other)[0] if other.dim() else None
        if other.dim() and other.numel() > 1:
            tied = trace.tie(labels[1], atoms, f"{call.where}: a norm of something of fixed width")
            labels[1] = tied
    if call.name == "instance_norm":
        trace.lock(labels[2:], f"{call.where}: the norm averages over them")
    return labels


def layer_norm(trace: Trace, call: Call) -> Labels:
    """Layer norm and RMS norm average over the last dimensions: without some the others would change."""
    labels = trace.labels(call.arg(0, "input"))
    over = len(call.arg(1, "normalized_shape"))
    why = f"{call.where}: the norm averages over them, so that without some the others would change"
    for tensor in tensors_in(
        [call.args[2:], {n: v for n, v in call.kwargs.items() if n != "input"}]
    ):
        trace.lock(trace.labels(tensor), why)
    trace.lock(labels[-over:], why)
    return labels


def group_norm(trace: Trace, call: Call) -> Labels:
    """A norm's group is averaged over as one: it stays or goes whole."""
    images, groups = call.arg(0, "input"), call.arg(1, "num_groups")
    labels = trace.labels(images)
    trace.lock(labels[2:], f"{call.where}: the norm averages over them")
    channels = labels[1]
    for tensor in (call.arg(2, "weight"), call.arg(3, "bias")):
        if tensor is not None:
            channels = trace.tie(
                channels,
                trace.labels(tensor)[0],
                f"{call.where}: a norm of something of fixed width",
            )
    count = int.__int__(groups)
    if channels is None:
        trace.sizes.require(groups, None, call.where)
    elif count == 1:
        why = f"{call.where}: the norm averages over them, so that without some the others would change"
        trace.relations.lock(channels, why)
    else:
        heads = channels.view(count, -1)[:, :1]
        spread = heads.expand(count, len(channels) // count).reshape(-1)
        trace.relations.tie(spread, channels, call.where)
        trace.sizes.require(groups, heads.reshape(-1), call.where)
    return [labels[0], channels, *labels[2:]]


def attention(trace: Trace, call: Call) -> tuple[Labels | None, None]:
    """nn.MultiheadAttention takes its heads' width from its input's, so that neither can change alone."""
    why = (
        f"{call.where}: nn.MultiheadAttention cuts the width of its input into heads, and cannot run with fewer; "
        f"write q, k and v as nn.Linear to prune heads"
    )
    for tensor in tensors_in([call.args, dict(call.kwargs)]):
        trace.lock(trace.labels(tensor), why)
    return None, None


def _with_bias(trace: Trace, call: Call, rows: Tensor | None, bias: Tensor | None) -> Tensor | None:
    if bias is None:
        return rows
    return trace.tie(rows, trace.labels(bias)[0], f"{call.where}: a bias of fixed width")


def _computed(
    trace: Trace, call: Call, tensors: list[Tensor | None], dims: int | None = None
) -> Labels:
    why = f"{call.where}: its weight is computed, not a parameter (remove weight norm and parametrizations first)"
    for tensor in tensors:
        if tensor is not None:
            trace.lock(trace.labels(tensor), why)
    return [None] * (dims if dims is not None else call.result.dim())


def _name(trace: Trace, weight: Tensor) -> str:
    name = trace.name_of(weight)
    assert name is not None  # noqa: S101  # asked before
    return name


RULES: dict[str, Rule] = {
    "linear": linear,
    "addmm": transposed_linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolution),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), transposed_convolution
    ),
    "embedding": embedding,
    **dict.fromkeys(("batch_norm", "instance_norm"), channel_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), layer_norm),
    "group_norm": group_norm,
    "multi_head_attention_forward": attention,
}
FOLLOWS_NUMBERS = frozenset(
    {
        *("conv1d", "conv2d", "conv3d", "group_norm", "multi_head_attention_forward"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    }
)
