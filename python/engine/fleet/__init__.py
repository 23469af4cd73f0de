"""Who is in the fleet, and whose each partition should be. Pure data and functions, no I/O."""
