"""Putting weights that were kept somewhere into a network."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ticketsmith.experiment.problems import BadSpec

DEFAULT = "DEFAULT"
"""What model.weights says for torchvision's own."""


def path_of(weights: str) -> Path:
    """The file that model.weights names; BadSpec if it isn't a .safetensors file that is there."""
    parts = urlsplit(weights)
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(weights).expanduser()
    if path.suffix != ".safetensors":
        raise BadSpec(
            f"model.weights {weights!r} is no .safetensors file: name one, or {DEFAULT} for "
            "torchvision's own weights"
        )
    if not path.is_file():
        raise BadSpec(
            f"model.weights {weights!r} does not exist: name a .safetensors file that does"
        )
    return path


def read(weights: str) -> dict[str, Tensor]:
    """The tensors in the file, on the CPU; BadSpec if it is damaged."""
    try:
        return load_file(path_of(weights))
    except (SafetensorError, OSError) as error:
        raise BadSpec(f"model.weights {weights!r} cannot be read ({error}): get it anew") from error


def put(network: nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Copy `tensors` into parameters and buffers of the same names, in place.

    BadSpec names the first tensor that is missing, unknown, or of another shape.
    """
    wanted = network.state_dict()
    if missing := wanted.keys() - tensors.keys():
        raise BadSpec(
            f"model.weights {origin!r} lacks the tensor {min(missing)}: take weights of the same model"
        )
    if strange := tensors.keys() - wanted.keys():
        raise BadSpec(
            f"model.weights {origin!r} has a tensor {min(strange)}, which this model does not: "
            "take weights of the same model"
        )
    for name, tensor in wanted.items():
        if tensor.shape != tensors[name].shape:
            raise BadSpec(
                f"model.weights {origin!r} has {name} in the shape {list(tensors[name].shape)}, "
                f"this model in {list(tensor.shape)}: take weights of the same model and data"
            )
    network.load_state_dict(tensors)


def put_pretrained(network: nn.Module, pretrained: dict[str, Tensor], origin: str) -> None:
    """Like `put`, but what differs in its first dimension alone, the layer of other classes, stays new.

    Side exits that the network lacks are left out; batch norms of old files, which do not say how many batches
    they saw, begin to count.
    """
    known = {}
    for name, new in network.state_dict().items():
        old = pretrained.get(name, new if name.endswith("num_batches_tracked") else None)
        if old is not None:
            is_head = old.shape != new.shape and old.shape[1:] == new.shape[1:]
            known[name] = new if is_head else old
    put(network, known, origin)
