"""`python -m ticketsmith.cli ...`: the command line where no script is installed, as in the runner image."""

from ticketsmith.cli import main

if __name__ == "__main__":
    main()
