"""The demo itself: a node, the charts, a Prometheus, three experiments."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cluster_access import eventually, kubectl_program
from helm import CHARTS, Helm
from node import Node
from prometheus import Prometheus

from cluster_demo import plan, words
from ticketsmith.local.reporting import PAGE

ROOT = Path(__file__).parents[2]
IMAGES_USER = 65532
PATIENCE_SECONDS = 7200.0
QUIET_SECONDS = 5.0
"""How long one line of progress stands at least."""
JOB = "ticketsmith"


class Demo:
    """A context manager: whatever `run` starts is gone after it. Reports go below `out`."""

    def __init__(self, out: Path, *, all_seeds: bool) -> None:
        self._out = out
        self._all_seeds = all_seeds
        self._held = ExitStack()
        self._began = time.monotonic()
        self.is_over = False
        """Whether the experiments have ended and everything was said."""

    def __enter__(self) -> "Demo":
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def run(self) -> bool:
        """Everything up to the last words; whether all went well."""
        held = self._held.enter_context(tempfile.TemporaryDirectory(prefix="ticketsmith-demo-"))
        self._folder = Path(held)
        self._say("starting a control plane and a node (while tests have theirs up, this waits)")
        self._node = self._held.enter_context(Node(self._folder / "node"))
        self._plane = self._node.control_plane
        self._helm = Helm(self._plane)
        self._install()
        self._observe()
        self._apply()
        self._wait_for_the_end()
        experiments = self._experiments()
        self._say("fetching their reports")
        reports = [self._fetch(one["metadata"]["name"]) for one in experiments]
        ending = words.ending(
            self._kubectl("get", "pex"),
            self._costs(len(experiments)),
            self._prometheus.url,
            reports,
            self._kubectl_command(),
        )
        failed = words.failures(experiments)
        print("\n".join(["", *failed, ending]), flush=True)
        self.is_over = True
        return not failed

    # --- setting up ------------------------------------------------------------------------------
    def _install(self) -> None:
        self._say("helm install ticketsmith-crds, helm install ticketsmith")
        home = plan.OPERATOR_NAMESPACE
        self._helm.install("ticketsmith-crds", CHARTS / "ticketsmith-crds", home)
        images, cores = self._node.images, os.cpu_count() or 1
        values = plan.values(images.operator, images.runner, cores)
        self._helm.install("ticketsmith", CHARTS / "ticketsmith", home, values)

    def _observe(self) -> None:
        """A Prometheus that scrapes the operator's Pod and judges the chart's alerts."""
        rendered = self._helm.template("ticketsmith", CHARTS / "ticketsmith", *plan.ALERTS)
        rules = self._folder / "alerts.json"
        rules.write_text(json.dumps(plan.groups(rendered)))
        self._prometheus = Prometheus(self._folder / "prometheus", rules=[rules])
        self._held.enter_context(self._prometheus)
        label = {"labelSelector": plan.OPERATOR_LABEL}
        pods = self._plane.read(f"/api/v1/namespaces/{plan.OPERATOR_NAMESPACE}/pods", **label)
        (pod,) = pods["items"]
        self._prometheus.scrape(JOB, f"http://{pod['status']['podIP']}:{plan.PORT}")
        self._prometheus.wait_scraped(JOB)
        self._say(f"Prometheus scrapes the operator: {self._prometheus.url}")

    def _apply(self) -> None:
        self._store = self._folder / "artifacts"
        self._store.mkdir()
        os.chown(self._store, IMAGES_USER, IMAGES_USER)
        self._plane.make_namespace(plan.NAMESPACE)
        self._plane.make_claim(plan.NAMESPACE, plan.CLAIM, self._store)
        seeds = "all their seeds" if self._all_seeds else "one seed each"
        self._say(f"kubectl apply: {', '.join(plan.EXAMPLES)} ({seeds})")
        for name in plan.EXAMPLES:
            text = (ROOT / "examples" / name).read_text()
            document = plan.experiment(text, all_seeds=self._all_seeds)
            self._kubectl("apply", "-f", "-", document=document)

    # --- running ---------------------------------------------------------------------------------
    def _wait_for_the_end(self) -> None:
        said, when = "", 0.0

        def is_over() -> bool:
            nonlocal said, when
            experiments = self._experiments()
            line, now = words.progress(experiments), time.monotonic()
            over = words.have_ended(experiments)
            if line != said and (over or now - when >= QUIET_SECONDS):
                self._say(line)
                said, when = line, now
            return over

        eventually(is_over, "end of the experiments", PATIENCE_SECONDS)

    def _costs(self, count: int) -> list[words.Cost]:
        """As Prometheus has them, once it has seen that all have ended."""
        phases = "|".join(words.ENDED)
        query = f'sum(ticketsmith_experiments{{phase=~"{phases}"}}) >= {count}'
        self._prometheus.wait_until(query)
        answer = self._prometheus.query(words.COST_QUERY)
        return [words.Cost(one.labels["name"], one.value, one.labels["currency"]) for one in answer]

    def _fetch(self, name: str) -> Path:
        """The report, from the artifacts that the claim holds."""
        folder = self._out / name
        program = Path(sys.executable).with_name("ticketsmith")
        cluster = ("--cluster", "--kubeconfig", self._plane.kubeconfig, "-n", plan.NAMESPACE)
        files = ("--store", self._store, "--out", folder)
        done = subprocess.run(
            [program, "report", name, *cluster, *files], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.fail(f"no report of {name}: {done.stderr.strip()}")
        return folder / PAGE

    # --- asking ----------------------------------------------------------------------------------
    def _experiments(self) -> list[dict[str, Any]]:
        path = f"/apis/ticketsmith.dev/v1alpha1/namespaces/{plan.NAMESPACE}/pruningexperiments"
        return list(self._plane.read(path)["items"])

    def _kubectl(self, *arguments: str, document: Any = None) -> str:
        body = None if document is None else json.dumps(document)
        return self._plane.kubectl("--namespace", plan.NAMESPACE, *arguments, input=body).stdout

    def _kubectl_command(self) -> list[str | Path]:
        place = ("--namespace", plan.NAMESPACE)
        return [kubectl_program(), "--kubeconfig", self._plane.kubeconfig, *place]

    def _say(self, what: str) -> None:
        print(f"{words.clock(time.monotonic() - self._began)}  {what}", flush=True)
