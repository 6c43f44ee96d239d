"""Providers, the models they serve with their prices, and the record of every completion."""

import secrets
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from llmproxy import keys
from llmproxy.pricing import Prices, Usage

ENVIRONMENT = "environment"  # the slug of the provider that LLM_UPSTREAM_* describes


class Provider(models.Model):
    """An OpenAI-compatible endpoint. The one with the slug `environment` is configured by LLM_UPSTREAM_*."""

    slug = models.SlugField(_("slug"), unique=True)
    name = models.CharField(_("name"), max_length=100)
    base_url = models.URLField(_("base URL"), blank=True, help_text=_("Up to and including /v1."))
    encrypted_key = models.TextField(_("key, encrypted"), blank=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        db_table = "llm_providers"
        ordering = ["name"]
        verbose_name = _("provider")
        verbose_name_plural = _("providers")

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        return settings.LLM_UPSTREAM_BASE_URL if self.slug == ENVIRONMENT else self.base_url.rstrip("/")

    @property
    def key(self) -> str:
        """The provider's API key in plain text; raises keys.KeyUnreadable."""
        return settings.LLM_UPSTREAM_API_KEY if self.slug == ENVIRONMENT else keys.decrypt(self.encrypted_key)

    def without_key(self, text: str) -> str:
        """What a provider said, for a log: some repeat the key that they were sent."""
        try:
            key = self.key
        except keys.KeyUnreadable:
            return text
        return text.replace(key, "[our key]") if key else text

    def set_key(self, plain: str) -> None:
        self.encrypted_key = keys.encrypt(plain)


def _price(label: Any, **options: Any) -> "models.DecimalField[Any, Any]":
    return models.DecimalField(
        label, max_digits=12, decimal_places=6, validators=[MinValueValidator(Decimal(0))], **options
    )


class LanguageModel(models.Model):
    """A model as callers name it, with its own prices in credits per 1,000 tokens or the default ones."""

    name = models.CharField(
        _("name"), max_length=200, unique=True, validators=[RegexValidator(r"^[\x21-\x7e]+$", _("No spaces."))]
    )
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="models", verbose_name=_("provider"))
    upstream_name = models.CharField(
        _("name at the provider"), max_length=200, blank=True, help_text=_("Empty: the same name.")
    )
    max_output_tokens = models.PositiveIntegerField(
        _("longest answer in tokens"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    prompt_price = _price(_("prompt price"), null=True, blank=True)
    cached_prompt_price = _price(_("cached prompt price"), null=True, blank=True)
    completion_price = _price(_("completion price"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        db_table = "language_models"
        ordering = ["name"]
        verbose_name = _("model")
        verbose_name_plural = _("models")

    def __str__(self) -> str:
        return self.name

    @property
    def prices(self) -> Prices:
        """The prices in force now; the cached price falls back to the prompt price."""
        default = settings.WEB_LLM_CREDIT_PER_1K_TOKENS
        prompt = default if self.prompt_price is None else self.prompt_price
        return Prices(
            prompt=prompt,
            cached_prompt=prompt if self.cached_prompt_price is None else self.cached_prompt_price,
            completion=default if self.completion_price is None else self.completion_price,
        )

    @property
    def output_limit(self) -> int:
        return self.max_output_tokens or settings.LLM_DEFAULT_MAX_TOKENS


def new_generation_id() -> str:
    return f"gen_{secrets.token_urlsafe(18)}"


class Completion(models.Model):
    """One request and its answer: everything that explains its charge. Written once, with the charge."""

    class UsageSource(models.TextChoices):
        EXACT = "exact", _("Reported by the provider")
        CAPPED = "capped", _("Reported by the provider beyond what was allowed")
        ESTIMATED = "estimated", _("Estimated, the answer was cut short")
        NONE = "none", _("Nothing was generated")

    class Status(models.TextChoices):
        COMPLETED = "completed", _("Completed")
        INTERRUPTED = "interrupted", _("Caller left")
        FAILED = "failed", _("Failed")

    generation_id = models.CharField(_("id"), max_length=40, unique=True, default=new_generation_id)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="completions",
        verbose_name=_("user"),
    )
    credential = models.CharField(_("called by"), max_length=64, blank=True, db_default="")
    credential_name = models.CharField(_("name of device or key"), max_length=100, blank=True, db_default="")
    hold = models.OneToOneField("credits.Hold", on_delete=models.PROTECT, null=True, verbose_name=_("hold"))
    provider = models.CharField(_("provider"), max_length=50)
    model = models.CharField(_("model"), max_length=200)
    upstream_id = models.CharField(_("id at the provider"), max_length=200, blank=True)
    trace_id = models.CharField(_("trace id"), max_length=128)
    route = models.CharField(_("route"), max_length=40)
    is_stream = models.BooleanField(_("stream"))
    status = models.CharField(_("status"), max_length=12, choices=Status)
    error = models.CharField(_("error"), max_length=40, blank=True)
    finish_reason = models.CharField(_("finish reason"), max_length=40, blank=True)
    usage_source = models.CharField(_("usage"), max_length=10, choices=UsageSource)
    prompt_tokens = models.PositiveBigIntegerField(_("prompt tokens"))
    cached_tokens = models.PositiveBigIntegerField(_("cached tokens"))
    completion_tokens = models.PositiveBigIntegerField(_("completion tokens"))
    prompt_price = _price(_("prompt price"))
    cached_prompt_price = _price(_("cached prompt price"))
    completion_price = _price(_("completion price"))
    clamped_max_tokens = models.PositiveIntegerField(_("answer limited to tokens"), null=True)
    held = models.BigIntegerField(_("held"))
    cost = models.BigIntegerField(_("cost"))
    charged = models.BigIntegerField(_("charged"))
    uncollected = models.BigIntegerField(_("not collected"))
    balance_after = models.BigIntegerField(_("balance after"), null=True)
    first_byte_ms = models.PositiveIntegerField(_("first byte (ms)"), null=True)
    total_ms = models.PositiveIntegerField(_("total (ms)"))
    created_at = models.DateTimeField(_("time"), db_default=Now())

    class Meta:
        db_table = "completions"
        verbose_name = _("completion")
        verbose_name_plural = _("completions")
        indexes = [models.Index(fields=["user", "-id"], name="completions_by_user")]

    def __str__(self) -> str:
        return self.generation_id

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_tokens, self.completion_tokens, self.cached_tokens)

    @property
    def prices(self) -> Prices:
        """The prices as frozen when the completion was admitted."""
        return Prices(self.prompt_price, self.cached_prompt_price, self.completion_price)
