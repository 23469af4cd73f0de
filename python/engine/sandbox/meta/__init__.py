"""A local Meta: the part of its Marketing API that the engine uses."""
