from django.urls import path

from credits import pages
from credits.api import rest

urlpatterns = [
    path("account", pages.account, name="account"),
    path("account/transactions", pages.transactions, name="account_transactions"),
    path("api/credits/history", rest.HistoryView.as_view(), name="credits_history"),
    path("api/credits/packages", rest.PackagesView.as_view(), name="credits_packages"),
    path("api/credits/stats", rest.StatsView.as_view(), name="credits_stats"),
]
