"""Brings everything up, runs three examples, says where everything is, and takes everything away again."""

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from images import CannotBuild
from node import lacking
from prometheus import NotInstalled, program
from tools.build import HELM, NotBuilt, binary

from cluster_demo.run import Demo

EXAMPLES = """\
examples:
  make cluster-demo                                     tools and images first, then the demo
  make cluster-demo DEMO="--all-seeds --no-keep"        the examples as they are; ends by itself

It needs root, for the node's containers. Everything it starts it stops; the reports stay.
"""
KEPT = "It stays up until Ctrl-C, which removes everything but the reports."
GONE = "Now everything but the reports is removed; with --keep it would stay up until Ctrl-C."
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the demo; the exit code."""
    options = _options()
    for number in ENDS:
        signal.signal(number, _interrupted)
    if trouble := _missing():
        print(f"cluster-demo: {trouble}", file=sys.stderr)
        return 2
    demo = Demo(options.out, all_seeds=options.all_seeds)
    try:
        with ExitStack() as held:
            held.enter_context(demo)
            held.callback(_stop_listening)
            went_well = demo.run()
            print(f"\n{KEPT if options.keep else GONE}", flush=True)
            if options.keep:
                signal.pause()
    except KeyboardInterrupt:
        print("\nStopped; everything but the reports is removed.", flush=True)
        return 0 if demo.is_over else 130
    except CannotBuild as reason:
        print(f"cluster-demo: {reason}", file=sys.stderr)
        return 2
    except pytest.fail.Exception as problem:  # so what is shared with the tests says what is wrong
        print(f"cluster-demo: {problem.msg}", file=sys.stderr)
        return 1
    return 0 if went_well else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make cluster-demo",
        description=f"{sys.modules['cluster_demo'].__doc__}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/cluster-demo"),
        metavar="DIR",
        help="where the reports go; default: %(default)s",
    )
    parser.add_argument(
        "--all-seeds",
        action="store_true",
        help="run the examples as they are, three seeds each; default: one seed, a third of the time",
    )
    parser.add_argument(
        "--keep",
        action=argparse.BooleanOptionalAction,
        default=sys.stdout.isatty(),
        help="leave everything up until Ctrl-C; default: where a person watches",
    )
    return parser.parse_args()


def _missing() -> str:
    """What this machine lacks, in one sentence; empty if nothing."""
    if os.geteuid() != 0:
        return "the node's containers need root: sudo make cluster-demo"
    if reason := lacking():
        return reason
    try:
        binary("kubelet")
        binary("helm", HELM)
        program()
    except (NotBuilt, NotInstalled) as absent:
        return str(absent)
    return ""


def _interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _stop_listening() -> None:
    """Clean up in peace: whoever presses Ctrl-C twice would leave half of it behind."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
