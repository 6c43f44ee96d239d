"""Plans in the admin, with their monthly prices."""

from django.contrib import admin

import accounts.admin.plans
from accounts.models import Plan
from credits.admin.payments.prices import PlanPriceInline

admin.site.unregister(Plan)


@admin.register(Plan)
class PlanAdmin(accounts.admin.plans.PlanAdmin):
    inlines = (PlanPriceInline,)
