"""`engine config`: what files and settings may hold."""

import sys

from engine.campaigns.files.schema import schema
from engine.cli.output import say

__all__ = [
    "accounts_command",
    "reference",
    "reference_command",
    "schema_command",
    "settings_command",
]

_HEAD = """\
# Commands

Written by `engine config reference`: change the commands, not this file (`make docs`).

All of them: `--context NAME` (or `ENGINE_CONTEXT`) names one of `engine contexts`, which are
read-only until `--write`. Exit codes: 0 done, 1 failed or done in part, 2 not understood, 130
interrupted. With `--json` stdout is JSON and nothing else; what is said to people is on stderr.
Money in JSON is integer micros, times are epoch seconds.
"""


def accounts_command() -> int:
    """Print the accounts, users and permissions of a secured nats-server, to be included.

    Passwords are read from the server's environment: WORKER_PASSWORD and so on.
    """
    from engine.messaging.accounts import render

    sys.stdout.write(render())
    return 0


def schema_command() -> int:
    """Print the JSON Schema of campaign files, for editors to check and complete them.

    In YAML, name the file it was saved to in the first line:
    `# yaml-language-server: $schema=campaigns.schema.json`; in JSON, under the key "$schema".
    """
    import json

    say(json.dumps(schema(), indent=2))
    return 0


def reference_command() -> int:
    """Print the reference of all commands, as docs/cli.md has it."""
    sys.stdout.write(reference())
    return 0


def settings_command() -> int:
    """Print the reference of all settings, as docs/settings.md has it."""
    from engine.cli.settings_page import settings_page

    sys.stdout.write(settings_page())
    return 0


def reference() -> str:
    """Return the reference of all commands, in Markdown."""
    from engine.cli.app import application

    written: str = application(in_full=True).generate_docs(heading_level=1)
    _, _, commands = written.partition("## Table of Contents")
    lines = [line.rstrip() for line in f"{_HEAD}\n## Contents{commands}".splitlines()]
    return "\n".join(lines).rstrip() + "\n"
