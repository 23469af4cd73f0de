"""Between decisions and ad platforms: what is worth changing, sent safely, and told back."""
