"""What each method needs and what fits, for several networks and devices: tables that are computed."""

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from lottery_tickets.running import Batch, LossFn
from lottery_tickets.sizing.accounts import DATA_FREE, METHODS
from lottery_tickets.sizing.network import Network, network_of
from lottery_tickets.sizing.passes import Passes
from lottery_tickets.sizing.planning import Limits, planned
from lottery_tickets.sizing.prediction import predicted, settings_of

PLANNED = ("fisher", "robustness", "landscape", "early-bird", "imp")


def memory_tables(
    models: Mapping[str, tuple[nn.Module, Batch]],
    devices: Mapping[str, int],
    *,
    host_bytes: int = 256 * 2**30,
    methods: Sequence[str] = METHODS,
    max_batch_size: int = 64,
    reserve: float = 0.1,
    loss_fn: LossFn | None = None,
) -> str:
    """Two tables in Markdown: the peak of every method with a batch of one, and what fits on which device.

    Args:
        models: Name -> a network, best on the meta device, and an example batch for it.
        devices: Name -> bytes of a device's memory.
        host_bytes: Bytes of the host's.
        methods: Of the first table.
        max_batch_size, reserve, loss_fn: See `plan_memory`.

    Returns:
        Lines of Markdown. GB are 10^9 bytes; "a + b" is a on the device and b on the host.

    Raises:
        ValueError: See `predict_peak`; no models or no devices.
    """
    if not models or not devices:
        raise ValueError("models or devices are empty: name at least one of each")
    for method in methods:
        settings_of(method, {})
    nets = {
        name: (network_of(model), Passes(model, batch, loss_fn))
        for name, (model, batch) in models.items()
    }
    lines = [*_peaks(nets, methods), "", *_fits(nets, devices, host_bytes, max_batch_size, reserve)]
    return "\n".join(lines) + "\n"


def _peaks(nets: Mapping[str, tuple[Network, Passes]], methods: Sequence[str]) -> Iterator[str]:
    heads = [f"{name} ({_billions(net)})" for name, (net, _) in nets.items()]
    yield f"| peak GB, batch 1 | {' | '.join(heads)} |"
    yield "|---|" + "--:|" * len(heads)
    yield f"| the weights alone | {' | '.join(_gb(n.weight_bytes) for n, _ in nets.values())} |"
    for method in methods:
        cells = []
        for net, passes in nets.values():
            rehearsing = None if method in DATA_FREE else passes
            try:
                found = predicted(net, method, rehearsing, None, 1, "cuda", settings_of(method, {}))
            except ValueError as error:
                cells.append(f"not rehearsed ({error})")
                continue
            host = f" + {_gb(found.host_bytes)}" if found.host_bytes > 10**7 else ""
            cells.append(_gb(found.device_bytes) + host)
        yield f"| {method} | {' | '.join(cells)} |"


def _fits(
    nets: Mapping[str, tuple[Network, Passes]],
    devices: Mapping[str, int],
    host_bytes: int,
    most: int,
    reserve: float,
) -> Iterator[str]:
    yield ("| network | device | " + " | ".join(PLANNED) + " | chunk size | grid points |")
    yield "|---|---|" + "---|" * len(PLANNED) + "--:|--:|"
    for name, (net, passes) in nets.items():
        for device, size in devices.items():
            limits = Limits(size, host_bytes, reserve)
            cells: list[str] = []
            chunk = grid = "-"
            for method in PLANNED:
                try:
                    plan = planned(net, passes, method, "cuda", limits, most, {})
                except ValueError:
                    cells.append("does not fit")
                    continue
                aside = ", part on the host" if plan.placement == "host" else ""
                cells.append(f"batch {plan.batch_size}{aside}")
                chunk = f"{plan.chunk_size:,}" if plan.chunk_size else chunk
                grid = str(plan.grid_points) if plan.grid_points else grid
            yield f"| {name} | {device} | {' | '.join(cells)} | {chunk} | {grid} |"


def _gb(size: int) -> str:
    return f"{size / 10**9:.1f}"


def _billions(net: Network) -> str:
    return f"{sum(one.numel for one in net.parameters) / 10**9:.2f} billion weights"
