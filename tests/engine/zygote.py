"""Forks processes of `ticketsmith.round` from one that has imported it: real processes that start in milliseconds.

Reads requests from standard input, a JSON document a line: {arguments, environment, out, err, memory} starts one
and is answered with its process id; {wait: PID} is answered with its wait status.
"""

import json
import os
import resource
import sys
from typing import Any

import sklearn.datasets  # noqa: F401  read by the digits
import torchvision  # noqa: F401  read by the models

from ticketsmith import round as entry
from ticketsmith.engine import carry_out  # noqa: F401


def become(request: dict[str, Any]) -> None:
    """Turn this child into the process that was asked for; never returns."""
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["memory"]:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + request["memory"],) * 2)
    code = 70
    try:
        code = entry.main(request["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            reply = os.waitpid(request["wait"], 0)[1]
        else:
            reply = os.fork()
            if reply == 0:
                become(request)
        print(reply, flush=True)


if __name__ == "__main__":
    print("ready", flush=True)
    serve()
