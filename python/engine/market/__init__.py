"""A simulated market: platforms on which the bid decides what is won and what is paid.

Pure numpy, no I/O, no clock: `Market.step` is a function of the seed, the step's number, the bids
in force and the books so far.
"""
