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
  + PlatformError                   an ad platform did not do what it was asked
    - PlatformUnavailableError      it did not answer, or broke: the same call may do later
    - PlatformThrottledError        too many calls: wait as long as it says, then the same call
    - PlatformQuotaError            a day's quota is used up: nothing more until it is renewed
    - PlatformRejectedError         it understood and said no: the same call will never do
    - PlatformCredentialsError      the credentials are missing, wrong, expired, or not enough
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
    "PlatformCredentialsError",
    "PlatformError",
    "PlatformQuotaError",
    "PlatformRejectedError",
    "PlatformThrottledError",
    "PlatformUnavailableError",
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


class PlatformError(EngineError):
    """An ad platform did not do what it was asked. `code` is the platform's own word for why."""

    def __init__(self, platform: str, reason: str, *, code: str = "") -> None:
        super().__init__(f"{platform}: {reason}" + (f" ({code})" if code else ""))
        self.platform = platform
        self.reason = reason
        self.code = code


class PlatformUnavailableError(PlatformError):
    """The platform did not answer in time, or broke. Whether it did what was asked is unknown."""


class PlatformThrottledError(PlatformError):
    """Too many calls. `retry_after_s` is the platform's own delay, None where it names none."""

    def __init__(
        self, platform: str, reason: str, *, code: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(platform, reason, code=code)
        self.retry_after_s = retry_after_s


class PlatformQuotaError(PlatformThrottledError):
    """A day's quota is used up. `retry_after_s` is the time until it is renewed, where known."""


class PlatformRejectedError(PlatformError):
    """The platform understood and said no; the same call will never do."""


class PlatformCredentialsError(PlatformError):
    """The credentials are missing, wrong, expired, or do not reach what was asked for."""
