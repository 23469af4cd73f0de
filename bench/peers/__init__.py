"""The same work as those who need it would write it: numba, numpy, Python, river, Go, the core."""
