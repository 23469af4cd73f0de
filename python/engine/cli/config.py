"""`engine config`: what files and settings may hold."""

from engine.campaigns.files.schema import schema
from engine.cli.output import say

__all__ = ["schema_command"]


def schema_command() -> int:
    """Print the JSON Schema of campaign files, for editors to check and complete them.

    In YAML, name the file it was saved to in the first line:
    `# yaml-language-server: $schema=campaigns.schema.json`; in JSON, under the key "$schema".
    """
    import json

    say(json.dumps(schema(), indent=2))
    return 0
