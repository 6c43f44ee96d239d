"""Small files of several formats, as base64 or as data URLs."""

import base64
import struct
import zlib


def encode(content: bytes, media_type: str = "") -> str:
    """Return base64, as a data URL if there is a media type."""
    text = base64.b64encode(content).decode()
    return f"data:{media_type};base64,{text}" if media_type else text


def pdf(pages: int, padding: int = 0, *, form: str = "plain") -> bytes:
    """Return a PDF with so many pages and bytes of content.

    `form` is plain; compressed, with its objects in a compressed stream; sealed, with nothing that
    can be read; or flat, without a page tree.
    """
    tree = b"1 0 obj <</Type /Pages /Kids [] /Count %d>> endobj\n" % pages
    tree = b"" if form == "flat" else tree
    objects = tree + b"".join(
        b"%d 0 obj\n<< /Type /Page /Parent 1 0 R >>\nendobj\n" % number
        for number in range(2, pages + 2)
    )
    if form == "compressed":
        packed = zlib.compress(objects)
        objects = b"9 0 obj <</Type /ObjStm /N %d /Filter /FlateDecode /Length %d>>\nstream\n" % (
            pages,
            len(packed),
        )
        objects += packed + b"\nendstream endobj\n"
    elif form == "sealed":
        objects = b"9 0 obj <</Type /ObjStm /N 3 /Length 30>>\nstream\n" + b"\x8f" * 30
        objects += b"\nendstream endobj\n"
    content = b"8 0 obj <</Length %d>>\nstream\n" % padding + b"\x93" * padding + b"\nendstream\n"
    return b"%PDF-1.7\n" + objects + content + b"trailer <</Root 1 0 R>>\n%%EOF"


def wav(seconds: int, rate: int = 8000) -> bytes:
    """Return silence: one channel, one byte a sample."""
    content = b"\x80" * (seconds * rate)
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(content))
        + b"WAVE"
        + layout
        + (b"data" + struct.pack("<I", len(content)) + content)
    )


def mp3(seconds: int, *, tag: int = 0) -> bytes:
    """Return frames of 64 kbit/s, MPEG-1 layer 3, after an ID3 tag of so many bytes."""
    size = bytes((tag >> shift) & 0x7F for shift in (21, 14, 7, 0))
    head = b"ID3\x04\0\0" + size + b"\0" * tag if tag else b""
    return head + (b"\xff\xfb\x50\xc4" + b"\0" * 204) * (seconds * 8000 // 208)


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 4000
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 4000
WEBP = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 4000
MP4 = b"\0\0\0\x18ftypisom" + b"\0" * 600_000
M4A = b"\0\0\0\x18ftypM4A " + b"\0" * 64_000
OGG = b"OggS" + b"\0" * 64_000
DOCX = b"PK\x03\x04" + b"\0" * 120_000
