"""The dashboard: what the streams say, as pages that a browser keeps up to date."""
