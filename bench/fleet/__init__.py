"""Measurements of a fleet of real processes: failover, hand-over, the broker's return."""
