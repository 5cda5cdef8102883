"""The driver for Kubernetes: it watches PruningExperiments and carries out their plan with a Job a round."""
