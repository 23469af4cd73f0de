"""The commands of `engine`, each imported only when it is called: `engine --help` is quick."""

from collections.abc import Sequence

from cyclopts import App, Group

__all__ = ["COMMANDS", "application"]

_RUN = Group("Run", sort_key=1)
_FEED = Group("Feed", sort_key=2)
_WATCH = Group("Watch", sort_key=3)
_STEER = Group("Steer", sort_key=4)
_TRY = Group("Try out", sort_key=5)
_ELSE = Group("Else", sort_key=6)

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
    (_WATCH, "top", "engine.cli.top:command", "Watch campaigns, workers and platforms."),
    (_WATCH, "status", "engine.cli.status:command", "Say in a few lines how the fleet is."),
    (_WATCH, "doctor", "engine.cli.doctor:command", "Check this machine, the broker and rights."),
    (_WATCH, "dashboard", "engine.cli.dashboard:command", "Show the fleet in a browser."),
    (_WATCH, "list", "engine.cli.listing:list_command", "List campaigns."),
    (_WATCH, "show", "engine.cli.listing:show_command", "Show a campaign and its newest decision."),
    (_WATCH, "decisions", "engine.cli.decisions:command", "Print decisions, as they are made."),
    (_WATCH, "explain", "engine.cli.explain:command", "Say why a campaign bids as it does."),
    (_WATCH, "exporter", "engine.cli.exporter:command", "Serve the fleet's figures to Prometheus."),
    (
        _STEER,
        "plan",
        "engine.cli.plan:plan_command",
        "Say what files would change, field by field.",
    ),
    (_STEER, "apply", "engine.cli.plan:apply_command", "Change campaigns to what files say."),
    (_STEER, "pause", "engine.cli.steering:pause_command", "Pause campaigns."),
    (_STEER, "resume", "engine.cli.steering:resume_command", "Let campaigns run (again)."),
    (_STEER, "stop", "engine.cli.steering:stop_command", "End campaigns, for good."),
    (_STEER, "halt", "engine.cli.halt:command", "Turn the kill switch of the whole fleet."),
    (_STEER, "changes", "engine.cli.changes:command", "List changes made on ad platforms."),
    (_STEER, "rollback", "engine.cli.rollback:command", "Set such changes back."),
    (_ELSE, "contexts", "engine.cli.contexts:command", "List brokers by name, for --context."),
    (_ELSE, "completion", "engine.cli.completion:command", "Print completion for a shell."),
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


def application(called: Sequence[str] = (), *, in_full: bool = False) -> App:
    """Return the app. Commands among `called` keep the long help of their docstrings.

    `in_full`: all of them do, for the reference; every command is imported then.
    """
    app = App(
        name="engine",
        help="Real-time campaign optimisation across ad platforms.",
        help_format="plaintext",
        help_epilogue=(
            "The broker is --nats, or ENGINE_NATS, or nats://127.0.0.1:4222.\n"
            "--context NAME (or ENGINE_CONTEXT) is one of `engine contexts`, which are\n"
            "read-only until --write. Each command explains itself: engine top --help.\n"
            "Exit codes: 0 done, 1 failed or done in part, 2 not understood, 130 interrupted."
        ),
        version=_version,
        suppress_keyboard_interrupt=False,
    )
    app["--help"].group = _ELSE
    app["--version"].group = _ELSE
    for group, name, path, line in _COMMANDS:
        summary = None if in_full or name in called[:1] else line
        app.command(
            path,
            name=name,
            help=summary,
            group=group,
            help_epilogue="",
            help_format="markdown",
        )
    config = App(name="config", help="Files and settings.", group=_ELSE, help_epilogue="")
    summary = (
        None if in_full or "schema" in called[1:2] else "Print the JSON Schema of campaign files."
    )
    config.command("engine.cli.config:schema_command", name="schema", help=summary)
    summary = (
        None
        if in_full or "accounts" in called[1:2]
        else "Print users and permissions for nats-server."
    )
    config.command("engine.cli.config:accounts_command", name="accounts", help=summary)
    summary = None if in_full or "reference" in called[1:2] else "Print the reference of commands."
    config.command("engine.cli.config:reference_command", name="reference", help=summary)
    summary = None if in_full or "settings" in called[1:2] else "Print the reference of settings."
    config.command("engine.cli.config:settings_command", name="settings", help=summary)
    app.command(config)
    dead = App(name="dead", help="What could not be read, and why.", group=_WATCH, help_epilogue="")
    for name, line in _DEAD:
        summary = None if in_full or name in called[1:2] else line
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
    from engine.cli.versions import versions  # `engine --help` does not ask for the core

    return versions()
