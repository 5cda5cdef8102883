"""The floor under every figure: a bare loop that watches Jobs and posts the next of a chain, and nothing else.

python -m operator_scale.floor KUBECONFIG STEPS
"""

import asyncio
import sys
from pathlib import Path

from pod_api import Gone, PodApi

from operator_scale.jobs import NAMESPACE, STEP_LABEL, chain_of, is_over, link
from ticketsmith_operator.names import EXPERIMENT_LABEL

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"


async def follow(kubeconfig: Path, steps: int) -> None:
    """Post the Job after each Job that completes, until cancelled."""
    api = await PodApi.open(kubeconfig)
    posted: set[tuple[str, int]] = set()
    posts: set[asyncio.Task[None]] = set()

    async def post(chain: str, step: int) -> None:
        try:
            await api.ask("POST", JOBS, link(chain, step))
        except Gone:
            print(f"{chain}-{step} is there already", file=sys.stderr)

    async for event, found in api.follow(JOBS, labelSelector=EXPERIMENT_LABEL):
        if event == "LIST":
            print("following", flush=True)
        for job in found if event == "LIST" else [found]:
            if event == "DELETED" or not is_over(job):
                continue
            following = chain_of(job), int(job["metadata"]["labels"][STEP_LABEL]) + 1
            if following[1] < steps and following not in posted:
                posted.add(following)
                task = asyncio.create_task(post(*following))
                posts.add(task)
                task.add_done_callback(posts.discard)


if __name__ == "__main__":
    asyncio.run(follow(Path(sys.argv[1]), int(sys.argv[2])))
