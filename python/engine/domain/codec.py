"""A campaign as the bytes that its entry in the table holds: JSON with a version."""

import msgspec

from engine.domain.campaign import Campaign
from engine.errors import MalformedMessageError

__all__ = ["decode_campaign", "encode_campaign"]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Campaign)


def encode_campaign(campaign: Campaign) -> bytes:
    """Return the bytes of a campaign; equal campaigns give equal bytes."""
    return _encoder.encode(campaign)


def decode_campaign(subject: str, payload: bytes) -> Campaign:
    """Return the campaign in `payload`; `subject` is where it came from.

    Raises MalformedMessageError where it does not decode or is of another version.
    """
    try:
        campaign = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error
    if campaign.v != 1:
        raise MalformedMessageError(subject, f"campaign version 1, found {campaign.v}")
    return campaign
