"""`engine config`: what files and settings may hold."""

import sys

from engine.campaigns.files.schema import schema
from engine.cli.output import say

__all__ = ["accounts_command", "schema_command"]


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
