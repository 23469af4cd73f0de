"""The nouns: campaign, money, metrics, decision. Frozen data and pure functions, no I/O."""
