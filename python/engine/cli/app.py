"""The commands of `engine`, each imported only when it is called: `engine --help` is quick."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, Group

__all__ = ["COMMANDS", "application"]

_RUN = Group("Run", sort_key=1)
_FEED = Group("Feed", sort_key=2)
_WATCH = Group("Watch and steer", sort_key=3)
_TRY = Group("Try out", sort_key=4)
_ELSE = Group("Else", sort_key=5)

# Where, under which name, and in a line what for. A module that cannot be imported breaks its own
# command and no other.
_COMMANDS = (
    (
        _RUN,
        "demo",
        "engine.cli.demo:command",
        "Watch workers bid in a simulated market.",
    ),
    (_RUN, "worker", "engine.cli.worker:command", "Decide for campaigns until stopped."),
    (_RUN, "gateway", "engine.cli.gateway:command", "Change ad platforms, and report from them."),
    (_RUN, "market", "engine.cli.market:command", "Simulate the ad platforms."),
    (_RUN, "sandbox", "engine.cli.sandbox:command", "Run local ad platforms to try a gateway on."),
    (_RUN, "provision", "engine.cli.provision:command", "Make the broker's streams."),
    (_FEED, "publish", "engine.cli.publish:command", "Publish campaigns from files."),
    (_FEED, "metrics", "engine.cli.metrics:command", "Publish samples of metrics from files."),
    (
        _TRY,
        "backtest",
        "engine.cli.backtest:command",
        "Run the engine over a log of your own.",
    ),
    (
        _TRY,
        "replay",
        "engine.cli.replay:command",
        "Decide recorded rounds again, to the bit or otherwise.",
    ),
    (
        _TRY,
        "forecast",
        "engine.cli.forecast:command",
        "Say what a budget is expected to bring.",
    ),
    (_WATCH, "list", "engine.cli.listing:list_command", "List campaigns."),
    (_WATCH, "show", "engine.cli.listing:show_command", "Show a campaign and its newest decision."),
    (_WATCH, "decisions", "engine.cli.decisions:command", "Print decisions, as they are made."),
    (_WATCH, "changes", "engine.cli.changes:command", "List changes made on ad platforms."),
    (_WATCH, "rollback", "engine.cli.rollback:command", "Set such changes back."),
    (_WATCH, "pause", "engine.cli.steering:pause_command", "Pause campaigns."),
    (_WATCH, "resume", "engine.cli.steering:resume_command", "Let campaigns run (again)."),
    (_WATCH, "stop", "engine.cli.steering:stop_command", "End campaigns, for good."),
)


_DEAD = (
    ("list", "List dead letters, the newest first."),
    ("show", "Show a dead letter whole."),
    ("retry", "Send dead letters to where they came from again."),
)

_PLATFORMS = (
    ("list", "List ad platforms, and what an adapter still needs."),
    ("check", "Ask a platform which ad accounts the credentials reach."),
)

COMMANDS = (*(name for _, name, _, _ in _COMMANDS), "config", "dead", "platforms")


def application(called: Sequence[str] = ()) -> App:
    """Return the app. Commands among `called` keep the long help of their docstrings."""
    app = App(
        name="engine",
        help="Real-time campaign optimisation across ad platforms.",
        help_format="plaintext",
        help_epilogue=(
            "The broker is ENGINE_NATS or --nats, nats://127.0.0.1:4222 where neither is given.\n"
            "Exit codes: 0 done, 1 failed or done in part, 2 not understood, 130 interrupted."
        ),
        version=_version,
        suppress_keyboard_interrupt=False,
    )
    app["--help"].group = _ELSE
    app["--version"].group = _ELSE
    for group, name, path, line in _COMMANDS:
        summary = None if name in called[:1] else line
        app.command(
            path,
            name=name,
            help=summary,
            group=group,
            help_epilogue="",
            help_format="markdown",
        )
    config = App(name="config", help="Files and settings.", group=_ELSE, help_epilogue="")
    summary = None if "schema" in called[1:2] else "Print the JSON Schema of campaign files."
    config.command("engine.cli.config:schema_command", name="schema", help=summary)
    summary = None if "accounts" in called[1:2] else "Print users and permissions for nats-server."
    config.command("engine.cli.config:accounts_command", name="accounts", help=summary)
    app.command(config)
    dead = App(name="dead", help="What could not be read, and why.", group=_WATCH, help_epilogue="")
    for name, line in _DEAD:
        summary = None if name in called[1:2] else line
        dead.command(f"engine.cli.dead:{name}_command", name=name, help=summary)
    app.command(dead)
    platforms = App(
        name="platforms", help="Ad platforms: adapters and accounts.", group=_ELSE, help_epilogue=""
    )
    for name, line in _PLATFORMS:
        summary = None if name in called[1:2] else line
        platforms.command(f"engine.cli.platforms:{name}_command", name=name, help=summary)
    app.command(platforms)
    return app


def _version() -> str:
    try:
        return version("campaign-engine")
    except PackageNotFoundError:  # run from a checkout
        return "0 (not installed)"
