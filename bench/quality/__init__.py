"""Bidding decision-quality: the engine's planner and forecaster against baselines and hindsight."""
