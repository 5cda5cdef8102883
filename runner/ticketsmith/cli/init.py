"""ticketsmith init: write a commented experiment file to begin from."""

from pathlib import Path
from string import Template

from ticketsmith.cli.files import read_yaml
from ticketsmith.experiment.load import parse_experiment
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.stores.files import create_text, told, write_text

STARTER = Template("""\
# An experiment of TicketSmith: how sparse can this network be before quality drops, and what does that save?
#   ticketsmith plan $file     what would run, and what it would take
#   ticketsmith run $file      run it; stopped, the same command goes on
apiVersion: ticketsmith.dev/v1alpha1
kind: PruningExperiment
metadata:
  name: $name                      # lower-case letters, digits and dashes; names the run directory
spec:
  model:
    name: $model                   # lenet300, lenet5, conv2, conv4, conv6, resnet20, torchvision:NAME, ...
  dataset:
    name: $dataset                 # digits (comes along), mnist, cifar10 or image_folder
    # uri: path/to/data            # where it lies; otherwise $$TICKETSMITH_DATA, otherwise it is downloaded
  training:                        # every arm is trained by the same rules
    duration: 20ep                 # 20ep, 50000it or 10ep50it
    batchSize: 60
    optimizer: {name: adam, lr: 0.0012}
  pruning:
    method: iterative              # or oneShot: every level straight from the dense network
    score: magnitude               # the smallest weights go first
    scope: global                  # weights compete across the network; layer: within their layer
    rewind: 0it                    # survivors return to initialisation; 500it: to step 500 (late rewinding)
  sparsities: {rate: 0.2, levels: 5}   # each level removes 20% of what is left; or {targets: [0.5, 0.8, 0.9]}
  controls: [reinit, random]       # the ticket's mask with new weights; a random mask with the same counts
  seeds: [0, 1, 2]                 # each seed is a replicate; intervals need at least two
  gates:
  - {metric: accuracy, maxDrop: 0.02, onFail: stop}   # at most 2 points below the dense network
  benchmark: {batchSizes: [1, 32], warmup: 10, repeats: 50}   # measured on this machine
  limits:
    retries: 2                     # further attempts at a round that was lost
    # deadlineSeconds: 7200        # the whole experiment
    # maxCost: "5.00"              # needs --price
    # parallelism: 2               # rounds at once; otherwise one per core
""")


def init(file: Path, model: str, dataset: str, *, replace: bool) -> None:
    """Write the starter file; BadSpec if `file` is there and not to be replaced, or if a name is unknown."""
    name = "-".join(part for part in (_slug(dataset), _slug(model)) if part) or "experiment"
    text = STARTER.substitute(
        file=file, name=name[:63].strip("-"), model=_quoted(model), dataset=_quoted(dataset)
    )
    parse_experiment(read_yaml(text))
    with told("write", file):
        if replace:
            write_text(file, text)
            created = True
        else:
            created = create_text(file, text)
    if not created:
        raise BadSpec(f"{file} is there already: name another file, or replace it with --force")
    print(f"Wrote {file}. Next:  ticketsmith plan {file}")


def _slug(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")


def _quoted(text: str) -> str:
    """A name as YAML reads it back unchanged."""
    if text.replace("_", "").replace("-", "").isalnum() and text[0].isalpha():
        return text
    return "'" + text.replace("'", "''") + "'"
