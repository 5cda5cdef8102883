"""What the API server checks between fields, in its Common Expression Language.

The models' validators say the same for a file read locally; a table in the tests holds both to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ticketsmith.experiment.spec import ScoreWeights

Schema = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One sentence the API server says unless `expression` holds."""

    expression: str
    """In CEL; `self` is the value the rule stands at, `oldSelf` the one before an update. has() is false for null."""
    message: str
    """What is wrong and what to do."""
    field: str = ""
    """Field the refusal points at, below the value; none is the value itself."""

    def document(self) -> Schema:
        """As it stands in a schema."""
        at = {"fieldPath": f".{self.field}"} if self.field else {}
        return {"rule": self.expression, "message": self.message, **at}


IMMUTABLE = (
    "model",
    "dataset",
    "training",
    "pruning",
    "sparsities",
    "controls",
    "seeds",
    "gates",
    "benchmark",
    "artifacts",
)
"""Fields of spec that decide results, or where they lie."""


def _stays(field: str) -> Rule:
    return Rule(
        f"has(self.{field}) == has(oldSelf.{field})"
        f" && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        f"{field} cannot change, be added or be removed once the experiment is there, since results depend on it:"
        " make a new experiment (another metadata.name)",
        field,
    )


def _once(field: str) -> Rule:
    return Rule(
        "self.all(one, self.exists_one(other, one == other))",
        f"each value of {field} may stand once: remove the repeated one",
    )


_RUNNING = Rule("self.matches('[1-9]')", "a duration of zero trains nothing: write at least 1it")
_IS_ACCURACY = "self.metric != 'accuracy'"

NAME = Rule(
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",
    "metadata.name becomes part of Jobs' names and labels: at most 63 lower-case letters, digits and dashes, with a"
    " letter or digit at both ends",
)
"""Stands at the resource itself; the schema of metadata is Kubernetes' own."""

RULES: Mapping[str, Sequence[Rule]] = {
    "ExperimentSpec": [_stays(field) for field in IMMUTABLE],
    "ExperimentSpec.controls": [_once("controls")],
    "ExperimentSpec.seeds": [_once("seeds")],
    "TrainingSpec.duration": [_RUNNING],
    "TrainingSpec.evaluateEvery": [_RUNNING],
    "OptimizerSpec": [
        Rule(
            "self.name == 'sgd' || !has(self.momentum) || self.momentum == 0.0",
            "momentum is an option of sgd alone: remove it or choose sgd",
            "momentum",
        ),
        Rule(
            "!has(self.nesterov) || !self.nesterov || has(self.momentum) && self.momentum > 0.0",
            "nesterov needs momentum above 0: set momentum, e.g. 0.9",
            "nesterov",
        ),
    ],
    "LrScheduleSpec": [
        Rule(
            "self.name == 'step' || !has(self.milestones) || size(self.milestones) == 0",
            "milestones belong to the step schedule: set name: step",
            "milestones",
        ),
        Rule(
            "self.name != 'step' || has(self.milestones) && size(self.milestones) > 0",
            "the step schedule needs milestones, e.g. [80ep, 120ep]",
            "milestones",
        ),
    ],
    "ScoreWeights": [
        Rule(
            " || ".join(
                f"has(self.{name}) && self.{name} > 0.0" for name in ScoreWeights.model_fields
            ),
            "no share is above 0: write e.g. {magnitude: 0.5, taylor: 0.5}",
        )
    ],
    "PruningSpec": [
        Rule(
            "has(self.scoreWeights) == (has(self.score) && self.score == 'hybrid')",
            "scoreWeights belong to the score hybrid, which needs them: write e.g. {magnitude: 0.5, taylor: 0.5}",
            "scoreWeights",
        ),
        Rule(
            "!has(self.pattern) || !self.pattern.contains(':')"
            " || int(self.pattern.split(':')[0]) < int(self.pattern.split(':')[1])",
            "a pattern N:M removes nothing unless N is below M: write e.g. 2:4",
            "pattern",
        ),
        Rule(
            "!has(self.pattern) || self.pattern != 'channel' || !has(self.scope) || self.scope in ['global', 'layer']",
            "pattern channel removes channels, not single weights of layers: use scope global or layer",
            "scope",
        ),
    ],
    "SparsitiesSpec": [
        Rule(
            "has(self.targets)"
            " ? !has(self.rate) && !has(self.final) && !has(self.levels)"
            " : has(self.levels) && has(self.rate) != has(self.final)",
            "give rate with levels, or targets alone, or final with levels",
        ),
    ],
    "SparsitiesSpec.targets": [
        Rule(
            "self.isSorted() && self.all(one, self.exists_one(other, one == other))",
            "targets must rise from level to level",
        )
    ],
    "GateSpec": [
        Rule(
            "has(self.maxDrop) || has(self.worst)",
            "a gate needs maxDrop (against the dense round) or worst (an absolute value)",
        ),
        Rule(
            f"{_IS_ACCURACY} || !has(self.maxDrop) || self.maxDrop < 1.0",
            "accuracy is a fraction: write maxDrop: 0.02 for two points",
            "maxDrop",
        ),
        Rule(
            f"{_IS_ACCURACY} || !has(self.worst) || self.worst >= 0.0 && self.worst <= 1.0",
            "accuracy is a fraction: write worst: 0.9 for 90%",
            "worst",
        ),
    ],
    "TolerationSpec": [
        Rule(
            "self.operator != 'Exists' || !has(self.value) || self.value == ''",
            "operator Exists takes no value: remove value or write operator: Equal",
            "value",
        ),
        Rule(
            "self.operator != 'Equal' || has(self.key)",
            "operator Equal needs a key: add key or write operator: Exists",
            "key",
        ),
        Rule(
            "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
            "tolerationSeconds is for effect NoExecute: write that or remove it",
            "tolerationSeconds",
        ),
    ],
    # The keys of a mapping have this form too, but nothing bounds their length before such a rule has run: it would
    # be beyond what an API server lets a rule cost.
    "TolerationSpec.key": [
        Rule(
            "!format.qualifiedName().validate(self).hasValue()",
            "the key of a taint is a label key: write name or domain/name",
        )
    ],
    "EnvSource": [
        Rule(
            "has(self.secretKeyRef) != has(self.configMapKeyRef)",
            "give exactly one of secretKeyRef and configMapKeyRef",
        )
    ],
    "EnvSpec": [
        Rule(
            "!has(self.value) || !has(self.valueFrom)",
            "give value or valueFrom, not both",
        ),
    ],
    "EnvSpec.name": [
        Rule(
            "!(self in ['TICKETSMITH_STORE', 'TICKETSMITH_ANSWER']) && !self.startsWith('TICKETSMITH_ROUND')",
            "TICKETSMITH_STORE, TICKETSMITH_ANSWER and what begins with TICKETSMITH_ROUND are set by the operator:"
            " choose another name",
        )
    ],
    "VolumeSpec": [
        Rule(
            "[has(self.persistentVolumeClaim), has(self.secret), has(self.configMap)]"
            ".exists_one(given, given)",
            "give exactly one of persistentVolumeClaim, secret and configMap",
        ),
    ],
    "VolumeSpec.name": [
        Rule(
            "!(self in ['artifacts', 'scratch'])",
            "artifacts and scratch are the operator's volumes: choose another name",
        )
    ],
}
"""By the model, or the `Model.field`, they stand at."""

SERVER_DEFAULTS = frozenset(
    {
        "ExperimentSpec.benchmark",
        "LrScheduleSpec.name",
        "OptimizerSpec.name",
        "TolerationSpec.operator",
    }
)
"""Fields the server fills in: only where a rule above reads them, and benchmark, where null says something else than
leaving it out, which has() cannot tell apart."""
