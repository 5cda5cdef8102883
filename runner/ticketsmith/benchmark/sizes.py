"""Bytes on disk, of files that are really written."""

from pathlib import Path

from torch import Tensor

from ticketsmith.benchmark.artifacts import Artifact
from ticketsmith.benchmark.sparse import save_sparse
from ticketsmith.engine import tensors
from ticketsmith.experiment.results import Size
from ticketsmith.stores.files import told


def sizes(artifact: Artifact, folder: Path) -> Size:
    """Write the network both ways into `folder`, measure the files, and remove them."""
    dense, sparse = folder / "dense.safetensors", folder / "sparse.safetensors"
    with told("write", folder):
        try:
            tensors.write(artifact.weights, dense)
            save_sparse(_plain_zeros(artifact), artifact.prunable, sparse)
            return Size(
                round=artifact.result.key,
                dense_bytes=dense.stat().st_size,
                sparse_bytes=sparse.stat().st_size,
            )
        finally:
            dense.unlink(missing_ok=True)
            sparse.unlink(missing_ok=True)


def _plain_zeros(artifact: Artifact) -> dict[str, Tensor]:
    """The weights, with +0 where a mask that multiplies left -0: the same number, but not the same bits, and
    the sparse file would keep it."""
    return {
        name: weight + 0.0 if name in artifact.prunable else weight
        for name, weight in artifact.weights.items()
    }
