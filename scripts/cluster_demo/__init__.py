"""TicketSmith as a platform team would have it, on a cluster of one node on this machine: `make cluster-demo`."""
