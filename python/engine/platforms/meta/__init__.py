"""Meta's Marketing API behind the port."""
