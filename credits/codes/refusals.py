"""The reasons why a redemption code gives no credits. Nothing was changed."""

from django.utils.translation import gettext as _

from accounts.toolbox.exceptions import Refusal


class CodeRefusal(Refusal):
    """The base class. The message says what to do next, in the reader's language."""

    status = 409
    code = "code_refused"


class UnknownCode(CodeRefusal):
    status = 404
    code = "code_unknown"

    def __init__(self) -> None:
        super().__init__(_("There is no such code. Check each letter and digit, then try again."))


class UsedCode(CodeRefusal):
    code = "code_used"

    def __init__(self) -> None:
        super().__init__(_("Somebody else has used this code. Ask for another one."))


class ExpiredCode(CodeRefusal):
    code = "code_expired"

    def __init__(self) -> None:
        super().__init__(_("This code has expired. Ask for another one."))


class RevokedCode(CodeRefusal):
    code = "code_revoked"

    def __init__(self) -> None:
        super().__init__(_("This code was revoked. Ask the person who gave it to you."))


class OneOfBatch(CodeRefusal):
    code = "code_once_per_person"

    def __init__(self) -> None:
        super().__init__(
            _("You have used a code of this kind before. Each person may use one of them.")
        )


class OwnCode(CodeRefusal):
    """An administrator without the permission to approve must not move their own credits."""

    code = "code_own"

    def __init__(self) -> None:
        super().__init__(_("You made this code. Another administrator must give you credits."))


class TooManyCodes(CodeRefusal):
    """Too many unknown codes. `retry_after` is in seconds."""

    status = 429
    code = "rate_limit_exceeded"

    def __init__(self, retry_after: int) -> None:
        super().__init__(_("Too many wrong codes. Try again later."))
        self.retry_after = retry_after
