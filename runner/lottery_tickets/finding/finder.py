"""One experiment of the lottery ticket hypothesis, start to end: the ticket, its controls, and both on disk."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, cast

import torch
from torch import Tensor, nn

from lottery_tickets import masks
from lottery_tickets.finding import experiments
from lottery_tickets.finding.imp import (
    LATE,
    METHOD,
    Round,
    Search,
    TrainFn,
    compute_iterative_magnitude_pruning,
    refuse_revived,
    tickets,
)
from lottery_tickets.finding.measuring import EvalFn, quality, refuse_broken
from lottery_tickets.levels import Scope
from lottery_tickets.prune import random_like
from lottery_tickets.pruning_mask import PruningMask
from lottery_tickets.running.lending import State, check_state, put, snapshot

Kind = Literal["reinit", "random"]

MEANINGS: Mapping[Kind, str] = {
    "reinit": "the ticket's mask on new weights, drawn by the same law",
    "random": "a random mask with the ticket's counts per layer, on the ticket's weights",
}


class Control(TypedDict):
    """One control of the ticket, trained like it."""

    kind: Kind
    meaning: str
    quality: float
    seed: int
    kept: int
    prunable: int


class Results(TypedDict):
    """What `find_winning_ticket` found; all of it is JSON but `mask` and the weights."""

    method: str
    model: str
    """The class, and its arguments."""
    target_sparsity: float
    pruning_rounds: int
    sparsity: float
    kept: int
    prunable: int
    parameters: int
    rewind: str
    seed: int | None
    """Of the initialisation; None for a network that was brought."""
    torch_seed: int
    rounds: list[Round]
    dense_quality: float | None
    ticket_quality: float | None
    controls: list[Control]
    mask: PruningMask
    rewind_weights: State
    trained_weights: State
    """Of the last round, on the host."""


class LotteryTicketFinder:
    """Finds a winning ticket of one kind of network, and trains the controls beside it."""

    def __init__(
        self,
        model_class: Callable[..., nn.Module],
        model_kwargs: Mapping[str, Any] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """`model_class(**model_kwargs)` must draw its weights from torch's global random numbers.

        Raises:
            ValueError: `device` is a GPU, and there is none.
        """
        self.model_class = model_class
        self.model_kwargs = dict(model_kwargs or {})
        self.device = torch.device(device)
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device is {str(device)!r}, but torch finds no such GPU: use 'cpu'")
        self.results: Results | None = None
        self._rewind_train_fn: Callable[[nn.Module], object] | None = None

    def new_model(self, seed: int) -> nn.Module:
        """A network with new weights, a function of `seed` alone; torch's own random numbers stay where they were."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return self.model_class(**self.model_kwargs).to(self.device)

    def find_winning_ticket(
        self,
        model: nn.Module | None = None,
        train_fn: TrainFn | None = None,
        eval_fn: EvalFn | None = None,
        target_sparsity: float = 0.9,
        pruning_rounds: int = 5,
        verbose: bool = True,
        *,
        seed: int = 0,
        rewind_to: Mapping[str, Tensor] | None = None,
        rewind_train_fn: Callable[[nn.Module], object] | None = None,
        scope: Scope = "global",
        exclude: Sequence[str] = (),
        rate_factors: Mapping[str, float] | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> tuple[nn.Module, PruningMask, Results]:
        """`compute_iterative_magnitude_pruning` on `model`, which ends as the trained ticket.

        Args:
            model: Moved to the device and trained. None: `new_model(seed)`.
            verbose: Print a line after every round.
            seed: For a new model.
            folder: Keep the search there after every round, and go on from there if one has begun: the same call again
                resumes, or returns at once what is finished. The weights it begins with come from the folder then; a
                training that was interrupted is done anew.
            The others: see `compute_iterative_magnitude_pruning`.

        Returns:
            The trained ticket, its mask, and `Results`, to which `verify_random_ticket` adds its controls.

        Raises:
            ValueError: As `compute_iterative_magnitude_pruning`; or `folder` holds another search, or damaged files.
        """
        given: dict[str, Any] = {
            "model": self._described(),
            "target_sparsity": target_sparsity,
            "pruning_rounds": pruning_rounds,
            "seed": seed if model is None else None,
            "scope": scope,
            "exclude": list(exclude),
            "rate_factors": dict(rate_factors or {}),
            "rewind_to": rewind_to is not None,
            "rewind_train_fn": rewind_train_fn is not None,
        }
        network = self.new_model(seed) if model is None else model.to(self.device)
        begun, trained = (None, None) if folder is None else _begun(folder, given)

        def after_round(search: Search) -> None:
            if folder is not None:
                last = len(search.rounds) > pruning_rounds
                _keep(folder, search, given, snapshot(network) if last else None)
            if verbose:
                print(_line(search.rounds[-1], pruning_rounds), flush=True)

        if begun is not None and trained is not None:
            put(network, trained)
            found = tickets(network, METHOD, target_sparsity, pruning_rounds, begun)
        else:
            found = compute_iterative_magnitude_pruning(
                network,
                None,
                train_fn,
                eval_fn,
                target_sparsity,
                pruning_rounds,
                rewind_to=rewind_to,
                rewind_train_fn=rewind_train_fn,
                scope=scope,
                exclude=exclude,
                rate_factors=rate_factors,
                restore=False,
                resume=begun,
                after_round=after_round,
                progress=False,
            )
        results: Results = {
            **found,
            "model": given["model"],
            "seed": given["seed"],
            "dense_quality": found["rounds"][0]["quality"],
            "ticket_quality": found["rounds"][-1]["quality"],
            "controls": [],
            "mask": PruningMask(found["mask"]),
            "trained_weights": snapshot(network),
        }
        self.results, self._rewind_train_fn = results, rewind_train_fn
        return network, results["mask"], results

    def verify_random_ticket(
        self,
        train_fn: TrainFn,
        eval_fn: EvalFn,
        *,
        control: Kind = "reinit",
        seed: int = 1,
        rewind_train_fn: Callable[[nn.Module], object] | None = None,
    ) -> float:
        """Train a control of the ticket as the ticket was trained, and return its quality.

        Args:
            train_fn: As for the ticket: then the budgets are equal.
            eval_fn: As for the ticket.
            control: "reinit": the ticket's mask on new weights, drawn by the same law (Frankle & Carbin 2019,
                section 1). After late resetting they take the steps up to it (`rewind_train_fn`) as well. "random": a
                random mask with as many weights in each layer, on the weights the ticket began with.
            seed: Of the new weights, or of the random mask.
            rewind_train_fn: Takes a reinit control to the late step; None: that of `find_winning_ticket`.

        Returns:
            What eval_fn says. The control, named, is added to `results["controls"]`.

        Raises:
            ValueError: There is no ticket yet; `model_class` makes another network than the ticket's, or `seed` the
                ticket's very weights; nothing takes a reinit control to the late step; as in
                `compute_iterative_magnitude_pruning`.
        """
        if self.results is None:
            raise ValueError(
                "there is no ticket to verify: call find_winning_ticket or load_experiment first"
            )
        if control not in MEANINGS:
            raise ValueError(f"control is {control!r}: use 'reinit' or 'random'")
        if control == "reinit" and seed == self.results["seed"]:
            raise ValueError(f"seed {seed} gives the ticket's own weights anew: use another one")
        late = rewind_train_fn or self._rewind_train_fn
        if control == "reinit" and late is None and self.results["rewind"] == LATE:
            raise ValueError(
                "the ticket was rewound to a late step: pass the rewind_train_fn that takes a network there, so that "
                "the control has the same budget"
            )
        network = self.new_model(seed)
        check_state(network, self.results["rewind_weights"], "the ticket")
        mask = dict(self.results["mask"])
        if control == "random":
            mask = random_like(mask, torch.Generator().manual_seed(seed))
            put(network, self.results["rewind_weights"])
        elif late is not None:
            late(network)
        masks.apply(network, mask)
        network.train()
        train_fn(network, PruningMask(mask))
        refuse_broken(network, f"after train_fn of the control {control!r}")
        refuse_revived(network, mask, f"train_fn of the control {control!r}")
        found = quality(network, eval_fn)
        self.results["controls"].append(
            {
                "kind": control,
                "meaning": MEANINGS[control],
                "quality": found,
                "seed": seed,
                "kept": self.results["kept"],
                "prunable": self.results["prunable"],
            }
        )
        return found

    def save_experiment(self, folder: str | os.PathLike[str], results: Results) -> None:
        """Write results, mask and weights into `folder`: JSON and safetensors, nothing pickled.

        Every file is written aside and renamed, `experiment.json` with the hashes of the others last: what is there is
        the whole new experiment or the whole one before.
        """
        document = {name: value for name, value in results.items() if name not in _TENSORS}
        experiments.write(
            folder,
            {"kind": _FINISHED, "results": document},
            results["mask"],
            {
                "rewind_weights": results["rewind_weights"],
                "trained_weights": results["trained_weights"],
            },
        )

    def load_experiment(self, folder: str | os.PathLike[str]) -> Results:
        """Read what `save_experiment` wrote, onto the CPU; controls can be trained then.

        A file does not hold the rewind_train_fn of late resetting: give it to `verify_random_ticket`.

        Raises:
            ValueError: A file is truncated, altered, or of something else; it is named.
            FileNotFoundError: There is no experiment.
        """
        document, mask, states = experiments.read(folder, _FINISHED)
        found = {**document["results"], "mask": PruningMask(mask), **states}
        results = cast("Results", found)
        for one in results["rounds"]:
            one["layers"] = {name: (kept, of) for name, (kept, of) in one["layers"].items()}
        self.results, self._rewind_train_fn = results, None
        return results

    def _described(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.model_kwargs.items())
        return f"{getattr(self.model_class, '__name__', type(self.model_class).__name__)}({given})"


_TENSORS = ("mask", "rewind_weights", "trained_weights")
_FINISHED = "experiment"
_SEARCH = "search"


def _keep(
    folder: str | os.PathLike[str], search: Search, given: Mapping[str, Any], trained: State | None
) -> None:
    """The search after its last round, as `_begun` reads it."""
    document = {
        "kind": _SEARCH,
        "given": given,
        "rewind": search.rewind,
        "torch_seed": search.torch_seed,
        "rounds": search.rounds,
    }
    states = {"rewind_weights": search.rewind_weights}
    if trained is not None:
        states["trained_weights"] = trained
    experiments.write(folder, document, search.mask, states, name=_SEARCH)


def _begun(
    folder: str | os.PathLike[str], given: Mapping[str, Any]
) -> tuple[Search | None, State | None]:
    """The search that is in the folder, if one is, and the trained weights if it is over."""
    try:
        document, mask, states = experiments.read(folder, _SEARCH, name=_SEARCH)
    except FileNotFoundError:
        return None, None
    wanted = json.loads(json.dumps(given))
    differ = [name for name, value in wanted.items() if document["given"].get(name) != value]
    if differ:
        raise ValueError(
            f"folder {os.fspath(folder)!r} holds a search with another {' and '.join(differ)}: name another folder, or "
            f"remove it"
        )
    for one in document["rounds"]:
        one["layers"] = {name: (kept, of) for name, (kept, of) in one["layers"].items()}
    search = Search(
        states["rewind_weights"],
        document["rewind"],
        mask,
        document["torch_seed"],
        document["rounds"],
    )
    return search, states.get("trained_weights")


def _line(one: Round, rounds: int) -> str:
    told = "" if one["quality"] is None else f", quality {one['quality']:.4f}"
    return (
        f"round {one['round']} of {rounds}: {one['kept']:,} of {one['prunable']:,} weights kept, sparsity "
        f"{one['sparsity']:.2%}{told} ({one['seconds']:.1f} s)"
    )
