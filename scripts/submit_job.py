#!/usr/bin/env python3
"""Submit an experiment to a cluster: `scripts/submit_job.py --config FILE [--watch]`, as `ticketsmith submit`."""

import sys

from ticketsmith.cli import main

if __name__ == "__main__":
    main(["submit", *sys.argv[1:]])
