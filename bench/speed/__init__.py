"""Every speed measurement in one run: floors, peers, border, fleet; `results.json` and a page."""
