"""Campaigns and samples in files: YAML, JSON, JSON Lines and CSV, each mistake with its line."""
