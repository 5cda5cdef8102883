"""Products of activations with each other: what they sum over cannot go, all else can."""

from torch import Tensor

from lottery_tickets.channels.tracing import Call, Labels, Rule, Trace


def matmul(trace: Trace, call: Call) -> Labels | None:
    """[..., n, k] with [..., k, m]."""
    left, right = call.arg(0, "input"), call.arg(1, "other", call.kwargs.get("mat2"))
    if call.name == "__rmatmul__":
        left, right = right, left
    one, other = trace.labels(left), trace.labels(right)
    if min(len(one), len(other)) < 2:
        why = f"{call.where}: how a product of vectors treats channels is not known"
        trace.lock([*one, *other], why)
        return None
    _summed(trace, call, [one[-1], other[-2]])
    batch = _broadcast(trace, call, (left, one), (right, other))
    trace.mix([*batch, one[-2], other[-1]])
    return [*batch, one[-2], other[-1]]


def scaled_dot_product(trace: Trace, call: Call) -> Labels:
    """Attention: what comes before tokens and width (batch, heads) is common to query, key and value."""
    query, key, value = (call.arg(i, n) for i, n in enumerate(("query", "key", "value")))
    mask = call.arg(3, "attn_mask")
    q, k, v = (trace.labels(t) for t in (query, key, value))
    _summed(trace, call, [q[-1], k[-1], q[-2], k[-2], v[-2]])
    if mask is not None:
        trace.lock(trace.labels(mask), f"{call.where}: an attention mask of fixed shape")
        wide = trace.labels(mask)[:-2]
        aligned = q[:-2][len(q) - 2 - len(wide) :]
        for atoms, size in zip(aligned, mask.shape[:-2], strict=True):
            if size > 1:
                trace.relations.lock(atoms, f"{call.where}: an attention mask of fixed shape")
    if call.kwargs.get("enable_gqa") and key.shape[-3] != query.shape[-3]:
        # A head of keys serves several of queries: they stay or go together.
        times = query.shape[-3] // key.shape[-3]
        for one in (k, v):
            one[-3] = None if one[-3] is None else one[-3].repeat_interleave(times)
    why = f"{call.where}: joined with something of fixed width"
    for dim, size in enumerate(query.shape[:-2]):
        if size > 1:
            tied = trace.tie(q[dim], k[dim], why)
            q[dim] = trace.tie(tied, v[dim], why)
    trace.mix([*q[:-1], v[-1]])
    return [*q[:-1], v[-1]]


def einsum(trace: Trace, call: Call) -> Labels | None:
    """By letters: those in the output stay, the others are summed over."""
    formula, *tensors = call.args
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = list(tensors[0])
    labels = [trace.labels(tensor) for tensor in tensors]
    if not isinstance(formula, str) or "." in formula or "->" not in formula:
        for one in labels:
            trace.lock(one, f"{call.where}: an einsum without '->' or with '...' is not analysed")
        return None
    inputs, output = formula.replace(" ", "").split("->")
    met: dict[str, Tensor | None] = {}
    for letters, one in zip(inputs.split(","), labels, strict=True):
        for letter, atoms in zip(letters, one, strict=True):
            why = f"{call.where}: joined with something of fixed width"
            met[letter] = trace.tie(met[letter], atoms, why) if letter in met else atoms
    _summed(trace, call, [atoms for letter, atoms in met.items() if letter not in output])
    found = [met[letter] for letter in output]
    trace.mix(found)
    return found


def _summed(trace: Trace, call: Call, labels: Labels) -> None:
    why = f"{call.where}: a product of activations sums over them, or scales by their number"
    trace.lock(labels, why)


def _broadcast(
    trace: Trace, call: Call, left: tuple[Tensor, Labels], right: tuple[Tensor, Labels]
) -> Labels:
    """The batch dimensions of a product, aligned at the end."""
    count = max(left[0].dim(), right[0].dim()) - 2
    found: Labels = []
    for back in range(count, 0, -1):
        here = [
            (labels[-2 - back], tensor.shape[-2 - back])
            for tensor, labels in (left, right)
            if tensor.dim() - 2 >= back
        ]
        wide = [atoms for atoms, size in here if size > 1]
        why = f"{call.where}: joined with something of fixed width"
        found.append(
            trace.tie(wide[0], wide[1], why) if len(wide) == 2 else wide[0] if wide else None
        )
    return found


RULES: dict[str, Rule] = {
    **dict.fromkeys(("matmul", "__matmul__", "__rmatmul__", "bmm", "mm"), matmul),
    "scaled_dot_product_attention": scaled_dot_product,
    "einsum": einsum,
}
