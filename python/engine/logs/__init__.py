"""People's own logs, read through duckdb."""
