"""Local servers that behave as ad platforms do: for tests, demos, and trying an adapter."""
