"""Inflates request bodies that are sent with `Content-Encoding` (RFC 9110 §8.4)."""

import zlib

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest, RequestTooLarge, UnsupportedCoding

ACCEPTED = "gzip, deflate"
GZIP, ZLIB, RAW = 31, 15, -15  # values of `wbits`
# Files that were gzipped one after the other. Each costs a copy of what follows it.
MAX_MEMBERS = 16


def inflate(raw: bytes, coding: str, most: int) -> bytes:
    """Return the body as it was before this Content-Encoding.

    It stops as soon as there are more than `most` bytes, however small `raw` is. Raises
    RequestTooLarge for that, UnsupportedCoding for an unknown coding and for several ones,
    InvalidRequest for a body that is broken.
    """
    names = [name.strip().lower() for name in coding.split(",")]
    applied = [name for name in names if name not in ("", "identity")]
    if not applied:
        return raw
    if len(applied) > 1 or applied[0] not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedCoding(
            _("Send the request body with one of these codings: %(codings)s.")
            % {"codings": ACCEPTED},
            headers={"Accept-Encoding": ACCEPTED},
        )
    window = GZIP if applied[0] != "deflate" else ZLIB if _has_zlib_header(raw) else RAW
    try:
        return _inflate_members(raw, window, most)
    except (zlib.error, EOFError):
        raise InvalidRequest(
            _("The request body cannot be decompressed as %(coding)s.") % {"coding": applied[0]}
        ) from None


def _has_zlib_header(raw: bytes) -> bool:
    """False for deflate without its header, as some clients send it (RFC 1950 §2.2)."""
    return len(raw) > 1 and raw[0] & 0x0F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0


def _inflate_members(raw: bytes, window: int, most: int) -> bytes:
    """Inflate the members of a gzip body, or the one of another. Raises EOFError, zlib.error."""
    body, rest = bytearray(), raw
    for _member in range(MAX_MEMBERS):
        stream = zlib.decompressobj(window)
        body += stream.decompress(rest, most + 1 - len(body))
        if len(body) > most:
            raise RequestTooLarge(_("The request body is larger than this service accepts."))
        if not stream.eof:
            raise EOFError
        rest = stream.unused_data.lstrip(b"\0")  # padding (gzip manual, "Tapes")
        if not rest:
            return bytes(body)
        if window != GZIP:
            break
    raise EOFError
