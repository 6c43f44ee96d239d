"""What providers say that we used and what it cost, from the files that they export."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class UsageImport(models.Model):
    """One file of a provider. Until `imported_at`, it is a draft that somebody looks at.

    `scopes` are what the file is about, such as tokens or cost. When it is imported, its rows
    replace those of the same scope from its first to its last day (UTC).
    """

    provider = models.CharField(_("provider"), max_length=50)
    file_format = models.CharField(_("format"), max_length=40)
    scopes = models.JSONField(_("scopes"))
    file_name = models.CharField(_("file name"), max_length=200, blank=True)
    digest = models.CharField(_("SHA-256 of the file"), max_length=64)
    lines = models.PositiveIntegerField(_("lines"))
    left_out = models.JSONField(_("lines left out"), default=dict)
    first_day = models.DateField(_("first day"))
    last_day = models.DateField(_("last day"))
    imported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("imported by"),
    )
    created_at = models.DateTimeField(_("uploaded"), auto_now_add=True)
    imported_at = models.DateTimeField(_("imported"), null=True)

    class Meta:
        db_table = "usage_imports"
        verbose_name = _("usage import")
        verbose_name_plural = _("reconciliation")
        default_permissions = ("view",)
        permissions = [("import_usage", _("Can import the usage of providers"))]

    def __str__(self) -> str:
        return f"{self.provider} {self.first_day} – {self.last_day}"


class ProviderUsage(models.Model):
    """What a provider says about one model on one day (UTC), in one scope.

    A row is current from its import until another file replaces it. A number that the file does not
    have is NULL. `model` is the provider's name of it, empty if the file does not say which.
    """

    usage_import = models.ForeignKey(UsageImport, on_delete=models.CASCADE, related_name="usages")
    replaced_by = models.ForeignKey(
        UsageImport, on_delete=models.SET_NULL, null=True, related_name="replaced"
    )
    is_current = models.BooleanField(default=False)
    provider = models.CharField(max_length=50)
    day = models.DateField()
    scope = models.CharField(max_length=20)
    model = models.CharField(max_length=200, blank=True)
    requests = models.BigIntegerField(null=True)
    prompt_tokens = models.BigIntegerField(null=True)
    cached_tokens = models.BigIntegerField(null=True)
    completion_tokens = models.BigIntegerField(null=True)
    cost = models.DecimalField(max_digits=20, decimal_places=10, null=True)  # US dollars

    class Meta:
        db_table = "provider_usage"
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["day", "provider"],
                condition=models.Q(is_current=True),
                name="provider_usage_current",
            )
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.day} {self.model} {self.scope}"


class ProviderRequest(models.Model):
    """One request as a provider lists it. Requests of a file that was replaced are deleted."""

    usage_import = models.ForeignKey(UsageImport, on_delete=models.CASCADE, related_name="requests")
    is_current = models.BooleanField(default=False)
    provider = models.CharField(max_length=50)
    upstream_id = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    model = models.CharField(max_length=200, blank=True)
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cost = models.DecimalField(max_digits=16, decimal_places=10)  # US dollars

    class Meta:
        db_table = "provider_requests"
        default_permissions = ()
        indexes = [
            models.Index(
                fields=["provider", "created_at"],
                condition=models.Q(is_current=True),
                name="provider_requests_current",
            )
        ]

    def __str__(self) -> str:
        return self.upstream_id
