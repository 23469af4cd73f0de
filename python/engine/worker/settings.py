"""What can be set on a worker: in a file, by ENGINE_* or by a flag, under the same names."""

from typing import Annotated, Literal

from msgspec import Meta

from engine.messaging.identity import IdentitySettings

__all__ = ["MetricsPort", "WorkerSettings"]

MetricsPort = Annotated[
    str,
    Meta(
        pattern=r"^(([^\s:]*|\[[0-9a-fA-F:]+\]):)?\d{1,5}$",
        description="a port such as 9464 (this machine only), or an address such as 0.0.0.0:9464",
    ),
]


class WorkerSettings(IdentitySettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The descriptions are what an error message says was wanted."""

    name: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z0-9_-]{1,64}$",
                description="a name of 1 to 64 of A-Z a-z 0-9 _ - such as w1",
            ),
        ]
        | None
    ) = None  # None: host and process id
    nats: (
        Annotated[
            str,
            Meta(
                pattern=r"^(nats|tls)://[^\s]+$",
                description="a URL such as nats://127.0.0.1:4222",
            ),
        ]
        | None
    ) = None  # None: nats://127.0.0.1:4222
    interval: Annotated[
        float, Meta(ge=0.02, le=3600, description="seconds above 0 such as 2 (0.02 to 3600)")
    ] = 2.0  # between the rounds of a partition
    window: Annotated[
        int, Meta(ge=2, le=127, description="a number of samples from 2 to 127 such as 64")
    ] = 64  # samples kept for each campaign and platform
    snapshot_every: Annotated[
        float, Meta(ge=0.1, le=3600, description="seconds such as 30 (0.1 to 3600)")
    ] = 30.0  # a longer time means less to write and more to replay after a crash
    keep_every: Annotated[
        float, Meta(ge=1, le=75_600, description="seconds such as 3600 (1 to 75600)")
    ] = 3600.0  # at most an eighth of the seven days that the chain is kept
    grace: Annotated[float, Meta(ge=0, le=3600, description="seconds such as 5 (0 to 3600)")] = (
        5.0  # for a stop: the round in hand, snapshots, releases
    )
    patience: Annotated[
        float, Meta(ge=0, le=86_400, description="seconds such as 30 (0 to 86400)")
    ] = 30.0  # for a broker that is not there at the start
    health: (
        Annotated[
            str,
            Meta(
                pattern=r"^([^\s:]*|\[[0-9a-fA-F:]+\]):\d{1,5}$",
                description="an address such as 127.0.0.1:8080 or :8080 (this machine only)",
            ),
        ]
        | None
    ) = None  # where /live, /ready and /status answer; None: nowhere
    metrics_port: MetricsPort | None = None  # where /metrics answers; None: nowhere
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="one of debug, info, warning, error"),
    ] = "info"
