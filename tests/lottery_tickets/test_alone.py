"""The library where nothing but torch is installed."""

import subprocess
import sys

SCRIPT = """
import sys

import torch

before = {name.partition(".")[0] for name in sys.modules}


class Nothing:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in before | {"lottery_tickets", "torch"} and root not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {root!r}", name=root)


sys.meta_path.insert(0, Nothing())
import lottery_tickets as lt

model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
data = [(torch.randn(6, 8), torch.randint(2, (6,)))]
mask = lt.prune(model, target_sparsity=0.5, score=lt.importance(model, "fisher", data))
lt.apply(model, mask)
print(lt.sparsity(mask))
try:
    lt.save(mask, "mask.safetensors")
except ModuleNotFoundError as missing:
    print(missing.name)
"""


def test_torch_is_all_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["0.5", "safetensors"], done.stderr
