"""How much of the value of changing everything at once is kept with few operations a day."""
