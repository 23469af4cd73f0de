"""The entries of the campaign table as bytes: JSON with a version.

A campaign's entry has no kind; the others, which only the owners of partitions read, say what they
are: a share of an account, or the kill switch.
"""

import msgspec

from engine.domain.accounts import Halt, Share
from engine.domain.campaign import Campaign
from engine.errors import MalformedMessageError

__all__ = ["decode_campaign", "decode_control", "decode_entry", "encode_campaign", "encode_control"]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Campaign)
_control_decoder: msgspec.json.Decoder[Share | Halt] = msgspec.json.Decoder(Share | Halt)
_KIND = b'{"kind":'


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


def encode_control(control: Share | Halt) -> bytes:
    """Return the bytes of a share or of the kill switch."""
    return _encoder.encode(control)


def decode_control(subject: str, payload: bytes) -> Share | Halt:
    """Return the share, or the kill switch, in `payload`. Raises MalformedMessageError."""
    try:
        control = _control_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error
    if control.v != 1:
        raise MalformedMessageError(subject, f"control version 1, found {control.v}")
    return control


def decode_entry(subject: str, payload: bytes) -> Campaign | Share | Halt:
    """Return whatever an entry holds. Raises MalformedMessageError."""
    if payload.startswith(_KIND):
        return decode_control(subject, payload)
    return decode_campaign(subject, payload)
