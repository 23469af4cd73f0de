"""The worker: takes partitions, runs their rounds, hands them over."""
