"""How far two masks would overlap by chance, given how many weights each keeps of every layer.

Two masks that keep k1 and k2 of a layer's n weights, drawn independently of each other and uniformly among all masks
with these counts, have X kept weights in common, where X is hypergeometric (n, k1, k2). Over a network X is the sum
over its layers, which are independent.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

_WIDTHS, _STEPS = 12, 40
"""The distribution is computed this many standard deviations, and steps more, to either side of its mean; what lies
beyond is below 1e-30."""
_DIRECT = 1 << 9
"""Up to this length sums of distributions are convolved directly, beyond it by fast Fourier transform."""


@dataclass(frozen=True)
class Shared:
    """The distribution of the number of shared weights: `probability[i]` of `first + i`, fp64 on the CPU."""

    first: int
    probability: Tensor

    def mean(self, measure: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """Mean and standard deviation of a measure of that number."""
        values = measure(
            torch.arange(
                self.first,
                self.first + len(self.probability),
                dtype=torch.float64,
                device="cpu",
            )
        )
        mean = float(self.probability @ values)
        return mean, math.sqrt(max(0.0, float(self.probability @ (values - mean).square())))


def shared(total: int, one: int, other: int) -> Shared:
    """Of a layer of `total` weights, of which the masks keep `one` and `other`."""
    low, high = max(0, one + other - total), min(one, other)
    mean = one * other / total if total else 0.0
    spread = math.sqrt(mean * (1 - one / total) * (1 - other / total)) if total else 0.0
    reach = math.ceil(_WIDTHS * spread) + _STEPS
    low, high = max(low, math.floor(mean) - reach), min(high, math.ceil(mean) + reach)
    # From each probability to the next by their ratio: factorials of such numbers would cancel too many digits.
    x = torch.arange(low, high, dtype=torch.float64, device="cpu")
    steps = (
        (one - x).log() + (other - x).log() - (x + 1).log() - (total - one - other + x + 1).log()
    )
    logs = torch.cat((torch.zeros(1, dtype=torch.float64, device="cpu"), steps.cumsum(0)))
    return Shared(low, torch.softmax(logs, 0))


def together(layers: Iterable[Shared]) -> Shared:
    """The sum of independent numbers."""
    first, probability = 0, torch.ones(1, dtype=torch.float64, device="cpu")
    for layer in layers:
        first += layer.first
        probability = _convolved(probability, layer.probability)
        # What rounding leaves at the edges would only make the next sum longer.
        likely = (probability > 1e-32).nonzero()
        start, stop = int(likely[0]), int(likely[-1]) + 1
        first, probability = first + start, probability[start:stop]
    return Shared(first, probability / probability.sum())


def _convolved(one: Tensor, other: Tensor) -> Tensor:
    length = len(one) + len(other) - 1
    if min(len(one), len(other)) <= _DIRECT:
        short, long = sorted((one, other), key=len)
        flipped = short.flip(0).view(1, 1, -1)
        return torch.conv1d(long.view(1, 1, -1), flipped, padding=len(short) - 1)[0, 0]
    product = torch.fft.rfft(one, length) * torch.fft.rfft(other, length)
    summed: Tensor = torch.fft.irfft(product, length)
    return summed.clamp_(min=0)
