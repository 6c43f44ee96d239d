from django.urls import path

from credits import pages, trpc, views

urlpatterns = [
    path("account", pages.account, name="account"),
    path("account/transactions", pages.transactions, name="account_transactions"),
    path("api/credits/history", views.HistoryView.as_view(), name="credits_history"),
    path("api/credits/packages", views.PackagesView.as_view(), name="credits_packages"),
    path("api/credits/stats", views.StatsView.as_view(), name="credits_stats"),
    path("api/trpc/<path:path>", trpc.trpc, name="trpc"),
]
