"""The Kubernetes driver of the plan. Nothing here yet: the local driver came first."""
