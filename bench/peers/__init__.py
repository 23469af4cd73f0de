"""The same work, as people who need it would write it: numba, numpy, Python, river, Go, and the core."""
