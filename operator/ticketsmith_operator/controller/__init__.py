"""Level-triggered: what is remembered of the cluster is compared with the plan, and made so."""
