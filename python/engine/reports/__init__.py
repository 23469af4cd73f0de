"""What happened, counted again from what was stored. Pure counting: the records are handed in."""
