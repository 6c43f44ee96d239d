"""What the pages of buying read from addresses and forms."""

from django import forms
from django.core.validators import RegexValidator

from accounts.toolbox.keyset import MAX_KEY
from credits.models.prices import validate_currency

FORM_KEY = RegexValidator(r"\A[A-Za-z0-9_-]{16,64}\Z")


class PageQuery(forms.Form):
    """`before` is the id of the last purchase of the previous page."""

    before = forms.IntegerField(required=False, min_value=1, max_value=MAX_KEY)


class BuyForm(forms.Form):
    """The hidden fields of a Buy button.

    `price`, in minor units, and `credits` are what the page showed.
    """

    package = forms.IntegerField(min_value=1, max_value=MAX_KEY)
    currency = forms.CharField(validators=[validate_currency])
    price = forms.IntegerField(min_value=1, max_value=MAX_KEY)
    credits = forms.IntegerField(min_value=1, max_value=MAX_KEY)
    form_key = forms.CharField(validators=[FORM_KEY])


class AskForm(forms.Form):
    """The hidden field of the button that asks the operator for a package."""

    package = forms.IntegerField(min_value=1, max_value=MAX_KEY)


class GiveBackForm(forms.Form):
    """The hidden fields of the confirmation. `amount` is what the page showed, in minor units."""

    amount = forms.IntegerField(min_value=1, max_value=MAX_KEY)
    form_key = forms.CharField(validators=[FORM_KEY])


class PlanForm(forms.Form):
    """The hidden fields of a button of a plan: as those of a Buy button."""

    plan = forms.SlugField(max_length=50)
    currency = forms.CharField(validators=[validate_currency])
    price = forms.IntegerField(min_value=1, max_value=MAX_KEY)
    credits = forms.IntegerField(min_value=1, max_value=MAX_KEY)
    form_key = forms.CharField(validators=[FORM_KEY])
