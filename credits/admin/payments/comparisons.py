"""The admin list of the daily comparisons with Stripe."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from credits.admin.rows import RowAdmin
from credits.admin.word_filters import SoundFilter
from credits.models import PaymentComparison


@admin.register(PaymentComparison)
class PaymentComparisonAdmin(RowAdmin):
    list_display = ("finished_at", "problems", "payments", "purchases", "caught_up")
    list_filter = (SoundFilter,)
    list_filter_submit = True
    fields = readonly_fields = (
        *("started_at", "finished_at", "payments", "purchases", "caught_up", "problems", "lines"),
    )

    @admin.display(description=_("report"))
    def lines(self, row: PaymentComparison) -> str:
        if not row.report:
            return "–"
        return format_html('<pre class="payload" tabindex="0">{}</pre>', row.report)
