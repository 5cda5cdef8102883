"""`python -m ticketsmith.train --config FILE`: the dense networks only, as `ticketsmith train FILE`."""

import sys

from ticketsmith.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
