"""Amounts of baht in Thai and English words, as they stand on Thai documents."""

_DIGITS = ("", "หนึ่ง", "สอง", "สาม", "สี่", "ห้า", "หก", "เจ็ด", "แปด", "เก้า")
_PLACES = ("", "สิบ", "ร้อย", "พัน", "หมื่น", "แสน")
_MILLION = 1_000_000

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", " thousand", " million", " billion", " trillion", " quadrillion", " quintillion")


def write_baht(satang: int, language: str) -> str:
    """Return an amount of satang in words, in `th` or else in English."""
    return _write_baht_in_thai(satang) if language == "th" else _write_baht_in_english(satang)


def _write_baht_in_thai(satang: int) -> str:
    """Return the amount in Thai; one without satang ends with ถ้วน, so that nothing is added."""
    baht, rest = divmod(satang, 100)
    words = f"{_write_thai(baht)}บาท" if baht or not rest else ""
    return words + (f"{_write_thai(rest)}สตางค์" if rest else "ถ้วน")


def _write_thai(number: int) -> str:
    if number == 0:
        return "ศูนย์"
    millions, rest = divmod(number, _MILLION)
    high = f"{_write_thai(millions)}ล้าน" if millions else ""
    return high + _write_thai_below_million(rest, is_first=not millions)


def _write_thai_below_million(number: int, *, is_first: bool) -> str:
    """Return up to six digits in words. A last one after other digits is เอ็ด, not หนึ่ง."""
    digits = [int(each) for each in str(number).zfill(6)]
    words = ""
    for place, digit in zip(range(5, -1, -1), digits, strict=True):
        if digit:
            words += _name_digit(digit, place, is_first=is_first and not words) + _PLACES[place]
    return words


def _name_digit(digit: int, place: int, *, is_first: bool) -> str:
    if place == 1 and digit <= 2:
        return ("", "ยี่")[digit - 1]
    if place == 0 and digit == 1 and not is_first:
        return "เอ็ด"
    return _DIGITS[digit]


def _write_baht_in_english(satang: int) -> str:
    baht, rest = divmod(satang, 100)
    parts = [f"{_write_english(baht)} baht"] if baht or not rest else []
    words = " and ".join([*parts, *([f"{_write_english(rest)} satang"] if rest else [])])
    return words[0].upper() + words[1:] + ("" if rest else " only")


def _write_english(number: int) -> str:
    if number < 1000:
        return _write_english_below_thousand(number)
    groups: list[str] = []
    for scale in _SCALES:
        number, group = divmod(number, 1000)
        if group:
            groups.insert(0, _write_english_below_thousand(group) + scale)
    return " ".join(groups)


def _write_english_below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_SMALL[hundreds]} hundred"] if hundreds else []
    if rest >= len(_SMALL):
        tens, ones = divmod(rest, 10)
        words.append(_TENS[tens - 2] + (f"-{_SMALL[ones]}" if ones else ""))
    elif rest or not hundreds:
        words.append(_SMALL[rest])
    return " ".join(words)
