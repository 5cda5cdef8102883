"""From a round to the Job that carries it out. Pure."""
