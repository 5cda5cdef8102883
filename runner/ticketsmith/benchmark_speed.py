"""`python -m ticketsmith.benchmark_speed ARTIFACT...`: as `ticketsmith benchmark`."""

import sys

from ticketsmith.cli import main

if __name__ == "__main__":
    main(["benchmark", *sys.argv[1:]])
