"""Finds images, documents, audio and video in the parts of a message, in all dialects.

Sources: the API references of OpenAI, Anthropic, Mistral and Alibaba; vLLM, "Multimodal Inputs".
"""

import mimetypes
from collections.abc import Iterator

from django.utils.translation import gettext as _

from llmproxy.exceptions import InvalidRequest
from llmproxy.metering import media
from llmproxy.metering.media import AUDIO, IMAGE, PAGE, VIDEO, Content, Medium
from llmproxy.routes import request_body
from llmproxy.routes.request_body import Body

# The types of parts, the member with the content (empty: the part itself), and what it is.
PARTS: dict[str, tuple[str, Medium]] = {
    "image_url": ("image_url", IMAGE),
    "input_image": ("image_url", IMAGE),
    "image": ("source", IMAGE),
    "input_audio": ("input_audio", AUDIO),
    "audio_url": ("audio_url", AUDIO),
    "video_url": ("video_url", VIDEO),
    "file": ("file", PAGE),
    "input_file": ("", PAGE),
    "file_url": ("file_url", PAGE),
    "document_url": ("document_url", PAGE),
    "document": ("source", PAGE),
}
DATA = ("data", "url", "file_data", "file_url")
MEDIA_TYPE = ("media_type", "mime_type")
# Content of the operator's account at a provider: it may be that of another caller.
IDS = ("file_id", "id")


def read_part(part: Body, param: str) -> Iterator[Content]:
    """Yield the content of a part whose type is in PARTS; several if it is sent in several ways.

    Raises InvalidRequest if there is none, or if it is behind an id, which nobody can measure.
    """
    member, expected = PARTS[part["type"]]
    value = part.get(member) if member else part
    if isinstance(value, dict):
        if any(value.get(name) for name in IDS if value is not part or name == "file_id"):
            raise request_body.build_unmeasured_refusal(param)
        texts = list(_find_texts(value, DATA))
        media_type = next(_find_texts(value, MEDIA_TYPE), "") or _guess_type(value)
    else:
        texts, media_type = [value] if isinstance(value, str) else [], ""
    if not texts:
        if expected is IMAGE and not part.get("file_id"):
            raise InvalidRequest(
                _("%(param)s has an image without a URL.") % {"param": param}, param=param
            )
        raise request_body.build_unmeasured_refusal(param)
    for text in texts:
        yield media.read_content(text, expected, media_type)


def _find_texts(value: Body, names: tuple[str, ...]) -> Iterator[str]:
    return (text for name in names if isinstance(text := value.get(name), str))


def _guess_type(value: Body) -> str:
    """The media type that the name of a file or the format of a recording says; empty without."""
    if isinstance(name := value.get("filename"), str):
        return mimetypes.guess_type(name[-100:])[0] or ""
    return f"audio/{value['format']}" if isinstance(value.get("format"), str) else ""
