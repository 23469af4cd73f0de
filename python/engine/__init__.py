"""Real-time campaign optimisation across ad platforms: when to bid, where and how much."""
