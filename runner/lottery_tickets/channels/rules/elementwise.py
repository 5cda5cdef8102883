"""Functions that work on each element by itself: dimensions of equal size become one."""

from torch import Tensor

from lottery_tickets.channels.tracing import Call, Labels, Rule, Trace, tensors_in


def together(trace: Trace, call: Call) -> Labels | None:
    """All tensors of the call, broadcast to the output's shape."""
    if not isinstance(call.result, Tensor):
        return None
    shape = call.result.shape
    found: Labels = [None] * len(shape)
    met = [False] * len(shape)
    broadcast = False
    why = f"{call.where}: joined with something of fixed width"
    for tensor in tensors_in([call.args, call.kwargs]):
        labels = trace.labels(tensor)
        if tensor.dim() > len(shape):
            trace.lock(labels, f"{call.where}: how this function treats channels is not known")
            continue
        for dim, (atoms, size) in enumerate(
            zip(labels, tensor.shape, strict=True), start=len(shape) - tensor.dim()
        ):
            if size != shape[dim]:
                broadcast = broadcast or trace.name_of(tensor) is None
                continue  # of size 1, which has no atoms
            found[dim] = trace.tie(found[dim], atoms, why) if met[dim] else atoms
            met[dim] = True
        broadcast = broadcast or (tensor.dim() < len(shape) and trace.name_of(tensor) is None)
    if broadcast:
        trace.mix(found)
    return found


def same(trace: Trace, call: Call) -> Labels | None:
    """The first tensor decides; the output has its shape."""
    first = next(tensors_in([call.args, call.kwargs]), None)
    return None if first is None else trace.labels(first)


def prelu(trace: Trace, call: Call) -> Labels:
    """A slope for each channel, or one for all."""
    labels = trace.labels(call.arg(0, "input"))
    slope = call.arg(1, "weight")
    if slope.numel() > 1:
        labels[1] = trace.tie(labels[1], trace.labels(slope)[0], f"{call.where}: fixed slopes")
    return labels


_UNARY = (
    *("relu", "relu_", "relu6", "gelu", "silu", "silu_", "mish", "sigmoid", "sigmoid_", "tanh"),
    *("tanh_", "hardswish", "hardsigmoid", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_"),
    *("elu", "elu_", "selu", "selu_", "celu", "celu_", "softplus", "softsign", "logsigmoid"),
    *("tanhshrink", "softshrink", "hardshrink", "threshold", "threshold_", "rrelu"),
    *("dropout", "dropout_", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"),
    *("feature_alpha_dropout", "feature_dropout", "contiguous", "clone", "detach", "detach_"),
    *("to", "float", "double", "half", "bfloat16", "type", "cuda", "cpu", "get:data", "get:real"),
    *("abs", "absolute", "exp", "expm1", "log", "log1p", "log2", "sqrt", "rsqrt", "square"),
    *("neg", "__neg__", "reciprocal", "sign", "floor", "ceil", "round", "trunc", "erf", "sin"),
    *("cos", "isnan", "isinf", "isfinite", "nan_to_num", "logical_not", "bitwise_not"),
    *("__invert__", "positive", "zeros_like", "ones_like", "empty_like", "full_like"),
    *("rand_like", "randn_like", "zero_", "fill_", "alias", "requires_grad"),
)
_JOINED = (
    *("add", "add_", "__add__", "__radd__", "__iadd__", "sub", "sub_", "__sub__", "__rsub__"),
    *("__isub__", "rsub", "subtract", "mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply"),
    *("div", "div_", "__truediv__", "__rtruediv__", "__itruediv__", "divide", "true_divide"),
    *("__div__", "__rdiv__", "pow", "pow_", "__pow__", "__rpow__", "__ipow__", "maximum"),
    *("minimum", "fmax", "fmin", "where", "lerp", "lerp_", "addcmul", "addcdiv", "clamp"),
    *("clamp_", "clip", "clamp_min", "clamp_max", "masked_fill", "masked_fill_", "atan2"),
    *("hypot", "eq", "ne", "lt", "le", "gt", "ge", "__eq__", "__ne__", "__lt__", "__le__"),
    *("__gt__", "__ge__", "logical_and", "logical_or", "__and__", "__or__", "__xor__", "type_as"),
    *("copysign", "remainder", "fmod", "floor_divide", "__floordiv__", "__mod__", "copy_"),
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_UNARY, same),
    **dict.fromkeys(_JOINED, together),
    "prelu": prelu,
}
