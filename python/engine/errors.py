"""What can go wrong, as a tree.

* EngineError
  + ConfigError                     the settings make no sense; raised before anything starts
  + DefinitionError                 a campaign definition or sample is refused; names the field
  + TransitionError                 the lifecycle does not allow that change of state
  + MessagingError                  something between nodes broke
    - BrokerError                   the broker is away, too old, or refuses permission
    - ConflictError                 somebody else changed it first (compare-and-swap lost)
    - FencedError                   the partition has a newer owner: stop deciding for it
    - MalformedMessageError         a payload did not decode; goes to the dead letters
"""

__all__ = [
    "BrokerError",
    "ConfigError",
    "ConflictError",
    "DefinitionError",
    "EngineError",
    "FencedError",
    "MalformedMessageError",
    "MessagingError",
    "TransitionError",
]


class EngineError(Exception):
    """Base of everything this package raises on purpose."""


class ConfigError(EngineError):
    """The settings make no sense."""


class DefinitionError(EngineError):
    """A definition or sample is refused. `field` is the path to what was wrong."""

    def __init__(self, field: str, wanted: str, found: object) -> None:
        super().__init__(f"{field}: {wanted}, found {found!r}")
        self.field = field
        self.wanted = wanted
        self.found = found


class TransitionError(EngineError):
    """The lifecycle has no such transition."""

    def __init__(self, campaign: str, current: str, wanted: str, legal: tuple[str, ...]) -> None:
        ways = ", ".join(legal) or "none: the state is final"
        super().__init__(f"{campaign}: {current} cannot become {wanted} (legal from here: {ways})")
        self.campaign = campaign
        self.current = current
        self.wanted = wanted
        self.legal = legal


class MessagingError(EngineError):
    """Something between nodes broke."""


class BrokerError(MessagingError):
    """The broker is away, too old, or refuses permission."""


class ConflictError(MessagingError):
    """Somebody else changed it first. `expected` is the revision that was thought newest."""

    def __init__(self, what: str, expected: int) -> None:
        super().__init__(f"{what}: changed since revision {expected}")
        self.expected = expected


class FencedError(MessagingError):
    """A record was appended by somebody else: this process no longer owns the partition."""

    def __init__(self, partition: int, expected: int) -> None:
        super().__init__(f"partition {partition}: the chain has moved past sequence {expected}")
        self.partition = partition
        self.expected = expected


class MalformedMessageError(MessagingError):
    """A payload could not be decoded."""

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"{subject}: {reason}")
        self.subject = subject
        self.reason = reason
