"""`python -m ticketsmith.prune --config FILE`: the whole iterative loop, as `ticketsmith run FILE`."""

import sys

from ticketsmith.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
