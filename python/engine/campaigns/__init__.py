"""Campaigns as people keep them: in files, and in the broker's table."""
