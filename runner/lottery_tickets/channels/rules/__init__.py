"""How each torch function relates the dimensions of its inputs to those of its output, by the function's name."""

from lottery_tickets.channels.rules import elementwise, layers, products, reductions, shapes
from lottery_tickets.channels.tracing import Rule

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **layers.RULES,
    **products.RULES,
    **reductions.RULES,
    **shapes.RULES,
}

FOLLOWS_NUMBERS = frozenset({*shapes.RULES, *layers.FOLLOWS_NUMBERS})
"""Functions whose rules look at the origin of every number they are given."""

PASSED_OVER = frozenset(
    {
        *("dim", "ndimension", "is_floating_point", "is_complex", "is_contiguous", "is_nonzero_"),
        *("data_ptr", "element_size", "get_device", "stride", "storage_offset", "is_same_size"),
        *("_set_grad_enabled", "set_grad_enabled", "is_grad_enabled", "requires_grad_", "__set__"),
        *("_has_compatible_shallow_copy_type", "is_tensor", "untyped_storage", "is_inference"),
        *("is_autocast_enabled", "get_autocast_dtype", "__format__", "__repr__", "type_"),
    }
)
"""Functions that ask for nothing that channels change."""
