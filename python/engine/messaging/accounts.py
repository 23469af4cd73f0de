"""The users and accounts of a secured nats-server, written from `permissions`.

The streams, workers and operators are in one account. Everybody else has an account of its own,
into which just the subjects of its role are imported. Permissions alone would not do: nats-server
does not check the subject that a request names for its answer. A user who may only ask for
$JS.API.INFO could have the answer stored in a decision chain. (Tried: it was.) Across accounts an
answer stays in the account of the one who asked.

`docker/nats-accounts.conf` is what `render` returns; `engine config accounts` prints it.
"""

from engine.messaging.permissions import DISCONNECTED, STREAMS_READ, Rights, Role, rights_of
from engine.messaging.subjects import gateway_subject

__all__ = ["password_variable", "render"]

HOME = "ENGINE"
_AT_HOME = (Role.WORKER, Role.OPERATOR)
_ELSEWHERE = tuple(role for role in Role if role not in _AT_HOME)
# What an account elsewhere says of itself goes from there to those who hear it: what is imported
# into the account of the streams as a service is not exported from it again.
_TOLD = {gateway_subject("*"): Role.GATEWAY}

_HEAD = """\
# Written by `engine config accounts`: change python/engine/messaging/permissions.py, not this file.
#
# One user a role, each with what its role needs and nothing more. Passwords come from variables of
# the server's environment: plain, or better bcrypted ("$2a$..."), which is of no use to a thief.
# A value of digits only must be quoted in the environment: the server would take it for a number.
"""


def password_variable(role: Role) -> str:
    """Return the name of the server's variable with the password of a role's user."""
    return f"{role.value.upper()}_PASSWORD"


def render() -> str:
    """Return the configuration, to be included into that of a server."""
    homes = "\n".join(_user(role, indent=6, extra=_extra(role)) for role in _AT_HOME)
    others = "\n".join(_account(role) for role in _ELSEWHERE)
    return f"""{_HEAD}
system_account: SYS

accounts {{
  SYS {{
    users: [{{ user: "system", password: $SYSTEM_PASSWORD }}]
    exports: [{{ stream: "{DISCONNECTED}", accounts: [{HOME}] }}]
  }}

  {HOME} {{
    jetstream: enabled
    users: [
{homes}
    ]
    imports: [
      {{ stream: {{ account: SYS, subject: "{DISCONNECTED}" }} }}
{_heard_at_home()}
    ]
    exports: [
{_exports()}
    ]
  }}
{others}
}}
"""


def _extra(role: Role) -> Rights:
    """Return what is granted without being needed."""
    heard = (DISCONNECTED,) if role is Role.WORKER else ()
    return Rights((), heard)


def _account(role: Role) -> str:
    services, streams = _imported(role)
    lines = [f'      {{ service: {{ account: {HOME}, subject: "{one}" }} }}' for one in services]
    lines += [
        f'      {{ stream: {{ account: {_source(one)}, subject: "{one}" }} }}'
        for one in streams
        if _TOLD.get(one) is not role
    ]
    imports = "\n".join(lines)
    told = [one for one, teller in _TOLD.items() if teller is role]
    exports = "".join(
        f'\n    exports: [{{ stream: "{one}", accounts: [{", ".join(_hearers(one))}] }}]'
        for one in told
    )
    return f"""
  {role.value.upper()} {{
    users: [
{_user(role, indent=6, extra=Rights((), ()))}
    ]
    imports: [
{imports}
    ]{exports}
  }}"""


def _source(subject: str) -> str:
    """Return the account that a subject heard elsewhere comes from."""
    return _TOLD[subject].value.upper() if subject in _TOLD else HOME


def _hearers(subject: str) -> list[str]:
    """Return the accounts that hear what another account says of itself."""
    elsewhere = [
        role.value.upper()
        for role in _ELSEWHERE
        if role is not _TOLD[subject] and subject in rights_of(role, user=role.value).subscribe
    ]
    return [HOME, *elsewhere]


def _heard_at_home() -> str:
    return "\n".join(
        f'      {{ stream: {{ account: {teller.value.upper()}, subject: "{one}" }} }}'
        for one, teller in _TOLD.items()
    )


def _user(role: Role, *, indent: int, extra: Rights) -> str:
    rights = rights_of(role, user=role.value)
    pad = " " * indent
    return "\n".join(
        [
            f"{pad}{{",
            f'{pad}  user: "{role.value}", password: ${password_variable(role)}',
            f"{pad}  permissions {{",
            _list("publish", rights.publish, indent + 4),
            _list("subscribe", (*rights.subscribe, *extra.subscribe), indent + 4),
            f"{pad}  }}",
            f"{pad}}}",
        ]
    )


def _list(name: str, subjects: tuple[str, ...], indent: int) -> str:
    pad = " " * indent
    lines = "\n".join(f'{pad}  "{one}"' for one in subjects)
    return f"{pad}{name}: [\n{lines}\n{pad}]"


def _imported(role: Role) -> tuple[list[str], list[str]]:
    """Return the subjects asked and the subjects heard in the account of the streams."""
    rights = rights_of(role, user=role.value)
    services = [
        one
        for one in rights.publish
        if not one.startswith(("_INBOX.", "$SYS.")) and one not in _TOLD
    ]
    return services, [one for one in rights.subscribe if not one.startswith("_INBOX.")]


def _exports() -> str:
    """Return each subject that some other account imports, and to which accounts it goes."""
    services: dict[str, list[str]] = {}
    streams: dict[str, list[str]] = {}
    for role in _ELSEWHERE:
        asked, heard = _imported(role)
        for found, subjects in ((services, asked), (streams, heard)):
            for one in subjects:
                found.setdefault(one, []).append(role.value.upper())
    pulls = {f"$JS.API.CONSUMER.MSG.NEXT.{s}.*" for role in _ELSEWHERE for s in STREAMS_READ[role]}
    lines = []
    for one, accounts in services.items():
        many = ", response_type: stream" if one in pulls else ""  # a pull has many answers
        lines.append(f'      {{ service: "{one}"{many}, accounts: [{", ".join(accounts)}] }}')
    for one, accounts in streams.items():
        if one in _TOLD:
            continue
        lines.append(f'      {{ stream: "{one}", accounts: [{", ".join(accounts)}] }}')
    return "\n".join(lines)
