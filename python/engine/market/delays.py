"""Conversions under way: clicks convert at once, soon, or much later.

Two pools wait for each series: prompt conversions, due within minutes, and slow ones, due after
the platform's mean delay. In each step every waiting conversion comes in with the same chance, so
delays are exponential and a pool needs no memory of when its conversions began.
"""

import numpy as np

from engine.market import chance
from engine.market.chance import Floats, Ints, Keys

__all__ = ["Delays"]

_PROMPT_DAYS = 0.004  # about six minutes
_CONVERTS, _PROMPT, _PROMPT_DUE, _SLOW_DUE = range(100, 104)  # purposes of random numbers


class Delays:
    """The conversions that clicks have brought and no sample has shown yet."""

    def __init__(self, size: int = 0) -> None:
        self.prompt: Ints = np.zeros(size, np.int64)
        self.slow: Ints = np.zeros(size, np.int64)

    def grow(self, size: int) -> None:
        """Make room for more series, at the end."""
        self.prompt = np.pad(self.prompt, (0, size - len(self.prompt)))
        self.slow = np.pad(self.slow, (0, size - len(self.slow)))

    def step(
        self,
        clicks: Ints,
        *,
        cvr: Floats,
        prompt_share: Floats,
        delay_days: Floats,
        step_days: float,
        seed: int,
        keys: Keys,
        step: int,
    ) -> Ints:
        """Put the conversions of a step's clicks in, and return those that come in now."""

        def luck(purpose: int) -> Floats:
            return chance.uniform(seed, keys, step, purpose)

        if clicks.any():
            converted = chance.binomial(clicks, cvr, luck(_CONVERTS))
            prompt = chance.binomial(converted, prompt_share, luck(_PROMPT))
            self.prompt += prompt
            self.slow += converted - prompt
        due_prompt = np.full(len(keys), 1.0 - np.exp(-step_days / _PROMPT_DAYS))
        due_slow = 1.0 - np.exp(-step_days / delay_days)
        came_prompt = chance.binomial(self.prompt, due_prompt, luck(_PROMPT_DUE))
        came_slow = chance.binomial(self.slow, due_slow, luck(_SLOW_DUE))
        self.prompt -= came_prompt
        self.slow -= came_slow
        return came_prompt + came_slow
