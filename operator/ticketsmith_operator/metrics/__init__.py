"""What Prometheus is told: counts of what was decided, and how the experiments of this moment stand."""
