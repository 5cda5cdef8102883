"""Any runner a person could write, for hypothesis. Valid for the models; a cluster may still find fault with it."""

from typing import Any

from hypothesis import strategies as st

from ticketsmith.experiment.placement import RunnerSpec

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
domains = st.from_regex(r"[a-z]{1,8}(\.[a-z]{2,8}){1,2}/", fullmatch=True)
words = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?", fullmatch=True)
keys = st.builds(str.__add__, st.just("") | domains, words)
values = st.just("") | words
cpus = st.sampled_from([1, 3, "100m", "1500m", "2.5", "1e1", "4"])
sizes = st.sampled_from(["64Mi", "1Gi", "16Gi", "2G", 2**30, "1.5Gi"])
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30)


def _mapping(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


amounts = st.fixed_dictionaries(
    {},
    optional={
        "cpu": cpus,
        "memory": sizes,
        "ephemeral-storage": sizes,
        "nvidia.com/gpu": st.integers(0, 8),
        "amd.com/gpu": st.integers(0, 8),
        "nvidia.com/mig-1g.5gb": st.integers(1, 7),
    },
)
tolerations = st.one_of(
    st.fixed_dictionaries({"key": keys, "value": values}),
    st.fixed_dictionaries({"operator": st.just("Exists")}, optional={"key": keys}),
    st.fixed_dictionaries(
        {"key": keys, "effect": st.just("NoExecute"), "tolerationSeconds": st.integers(0, 3600)}
    ),
)
references = st.fixed_dictionaries(
    {"name": names, "key": words}, optional={"optional": st.booleans()}
)
variables = st.from_regex(r"[A-Z_][A-Z0-9_]{0,10}", fullmatch=True) | st.sampled_from(
    ["HOME", "TMPDIR", "TICKETSMITH_DEVICE", "TICKETSMITH_THREADS"]
)
env = st.one_of(
    st.fixed_dictionaries({"name": variables}, optional={"value": texts}),
    st.builds(
        lambda name, kind, reference: {"name": name, "valueFrom": {kind: reference}},
        variables,
        st.sampled_from(["secretKeyRef", "configMapKeyRef"]),
        references,
    ),
)
volumes = st.builds(
    lambda name, path, kind, source, read_only: {
        "name": f"v-{name}", "mountPath": f"/{path}", kind: source, "readOnly": read_only,
    },
    names,
    st.lists(words, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["persistentVolumeClaim", "secret", "configMap"]),
    names,
    st.booleans(),
)  # fmt: skip
runners = _mapping(
    image=st.sampled_from(["runner", "registry.example.com:5000/a/b:1", f"x@sha256:{'0' * 64}"]),
    imagePullPolicy=st.sampled_from(["Always", "IfNotPresent", "Never"]),
    imagePullSecrets=st.lists(names, max_size=3, unique=True),
    resources=_mapping(requests=amounts, limits=amounts),
    nodeSelector=st.dictionaries(keys, values, max_size=4),
    tolerations=st.lists(tolerations, max_size=4),
    priorityClassName=names,
    serviceAccountName=names,
    queueName=names,
    env=st.lists(env, max_size=5, unique_by=lambda one: one["name"]),
    volumes=st.lists(volumes, max_size=3),
    scratchSize=sizes.map(str),
    terminationGraceSeconds=st.integers(1, 3600),
).map(RunnerSpec.model_validate)
