"""`engine provision`: the broker's streams, made by somebody who may."""

from engine.cli.output import as_json, say
from engine.cli.session import AsJson, Nats, Session, run
from engine.messaging.permissions import STREAMS_READ, Role

__all__ = ["command"]


def command(*, json: AsJson = False, nats: Nats = None) -> int:
    """Make the streams that are missing, and put right what the engine relies on in the others.

    For an operator, before workers start as users who may not make streams. New streams have
    ENGINE_REPLICAS copies, 1 where not given; limits of existing ones stay as they are, and nothing
    is ever deleted. Twice is as good as once.
    """

    async def work(session: Session) -> int:
        return 0  # the connection is made with its streams

    code = run(work, nats=nats, role=Role.OPERATOR, provision=True)
    streams = list(STREAMS_READ[Role.OPERATOR])
    if json:
        as_json({"streams": streams})
    else:
        say(f"{len(streams)} streams are there: {', '.join(streams)}")
    return code
