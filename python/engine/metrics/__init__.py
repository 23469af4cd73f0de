"""Figures for Prometheus: of each service, and of the fleet as its streams tell it."""
