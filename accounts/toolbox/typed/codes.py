"""Finding a code in what a person typed or pasted.

What is pasted is not what was shown: it has words around it, a link, other dashes and spaces, or
the letters of another keyboard. `static/deviceauth/code.js` does the same in the browser for codes
of letters; `tests/deviceauth/pages/test_typed_codes.py` compares the two.
"""

import re
import unicodedata

# Without vowels a code forms no word; without digits no character looks like another. A code has
# 20^8 values, which are 34.6 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8  # letters of a code of letters
MAX_TYPED = 2000  # characters in which a code is looked for: a short mail, a long link
MAX_ESCAPES = 3  # how often a link inside of a link is percent-encoded

# Capital letters of Cyrillic and Greek that look like one of ours (Unicode UTS 39, confusables).
_LOOK_ALIKES = str.maketrans(
    "ВСНЈКМРЅТХԌԚԜ" + "ΒΗΚΜΝΡΤΧΖϹϿͿ",
    "BCHJKMPSTXGQW" + "BHKMNPTXZCCJ",
)
# What the keys of our letters and of the dash write on a Thai keyboard (Kedmanee, TIS 820-2538),
# without and with shift.
_KEYS = "QWERTYUIOP" + "ASDFGHJKL" + "ZXCVBNM"
_THAI_KEYS = str.maketrans(
    "ๆไำพะัีรนย" + "ฟหกดเ้่าส" + "ผปแอิืท" + '๐"ฎฑธํ๊ณฯญ' + "ฤฆฏโฌ็๋ษศ" + "()ฉฮฺ์?" + "ข",
    _KEYS + _KEYS + "-",
)
_THAI_DIGIT_KEYS = str.maketrans("ๅ/-ภถุึคตจ", "1234567890")
_THAI = re.compile("[\u0e00-\u0e7f]")
_ESCAPES = re.compile("(?:%[0-9A-Fa-f]{2})+")
_DASHES = re.compile("[‐-―−⁃⸺⸻〜〰゠ー·•~]")
_LINK = re.compile(r"USER_CODE=([^&#\s\"'<>]+)")
_LETTERS = f"([{ALPHABET}]{{4}})"
# A code between other words: with its dash, else without.
_WORDS = [
    re.compile(rf"(?<![A-Z0-9])(?={_LETTERS}{middle}{_LETTERS}(?![A-Z0-9]))")
    for middle in (r" *[-_] *", r"[ .,:/]*")
]


def find_letters(typed: str) -> str | None:
    """Return the code of eight letters in a text, in capitals without a dash; None without one.

    A text with two different codes has none, because nobody knows which is meant.
    """
    if len(typed) > MAX_TYPED:
        return None
    text = _fold(typed)
    link = _LINK.search(text)
    code = (link and _read_whole(link[1])) or _read_whole(text) or _pick_word(text)
    if code is None and _THAI.search(typed):
        return _read_whole(_fold(typed.translate(_THAI_KEYS)))
    return code


def find_digits(typed: str, *, lengths: tuple[int, ...]) -> str | None:
    """Return the code of digits in a text, in ASCII; None unless there is exactly one.

    `lengths` are the possible numbers of digits. Spaces and dashes may divide them.
    """
    if len(typed) > MAX_TYPED:
        return None
    text = _fold(typed)
    if _THAI.search(text) and not re.search("[0-9]", text):
        text = _fold(typed.translate(_THAI_DIGIT_KEYS))
    whole = re.sub("[ .-]", "", text)
    if whole.isdecimal() and len(whole) in lengths:
        return whole
    words = re.findall("(?<![A-Z0-9])[0-9][0-9 -]*(?![A-Z0-9])", text)
    found = {re.sub("[ -]", "", word) for word in words}
    fitting = {digits for digits in found if len(digits) in lengths}
    return fitting.pop() if len(fitting) == 1 else None


def _fold(typed: str) -> str:
    """Return the text in capitals, without escapes and without what looks the same or like nothing.

    Spaces of all kinds become one kind, dashes too, digits of all scripts become 0 to 9.
    """
    text = typed
    for _ in range(MAX_ESCAPES):
        text = _ESCAPES.sub(_unescape, text)
    folded = "".join(map(_fold_character, unicodedata.normalize("NFKC", text)))
    return _DASHES.sub("-", folded.upper().translate(_LOOK_ALIKES))


def _unescape(escapes: re.Match[str]) -> str:
    try:
        return bytes.fromhex(escapes[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return escapes[0]


def _fold_character(each: str) -> str:
    match unicodedata.category(each):
        case "Nd":
            return str(unicodedata.decimal(each))
        case "Cf" | "Mn" | "Me":  # joiners, directions, soft hyphens, accents; not Thai vowels
            return each if _THAI.match(each) else ""
        case "Zs" | "Zl" | "Zp" | "Cc":
            return " "
        case _:
            return each


def _read_whole(text: str) -> str | None:
    """Return the code if the text has no other letters and digits, wherever its dashes are."""
    letters = "".join(each for each in text if each.isalnum())
    return letters if len(letters) == LENGTH and set(letters) <= set(ALPHABET) else None


def _pick_word(text: str) -> str | None:
    for pattern in _WORDS:
        codes = {"".join(groups) for groups in pattern.findall(text)}
        if codes:
            return codes.pop() if len(codes) == 1 else None
    return None
