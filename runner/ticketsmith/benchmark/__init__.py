"""Wall-clock latency, throughput and bytes on disk of saved artifacts, always beside their dense network."""
