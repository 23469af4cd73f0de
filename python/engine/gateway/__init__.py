"""From decisions to changes that are worth sending, and from reports to samples."""
