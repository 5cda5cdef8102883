"""The driver for one machine: it carries out the plan with a process a round, and keeps its state on disk."""
