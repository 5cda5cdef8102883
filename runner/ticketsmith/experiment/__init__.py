"""What an experiment is and what happens next: pure decisions, without clock, files, network or torch."""
