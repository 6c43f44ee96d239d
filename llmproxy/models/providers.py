"""Providers, and the models that they serve, with their prices."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.operation import current as operation
from llmproxy import provider_keys
from llmproxy.metering.price_kinds import PRICE_KINDS, TOKEN_KINDS
from llmproxy.metering.price_rows import read_prices
from llmproxy.metering.pricing import Prices
from llmproxy.models.choices import (
    MAX_NAME_LENGTH,
    Endpoint,
    KeyHeader,
    LimitSpelling,
    OnDisconnect,
    Problem,
    validate_key_header,
    validate_model_name,
)

MAX_ERROR_LENGTH = 40
MAX_WAIT_SECONDS = 3600
ENVIRONMENT = "environment"  # the slug of the provider that LLM_UPSTREAM_* describes


def every_endpoint() -> list[str]:
    return list(Endpoint.values)


def _build_timeout(label: Any) -> "models.PositiveSmallIntegerField[Any, Any]":
    """Return a field for a timeout of a provider; if empty, the setting applies."""
    return models.PositiveSmallIntegerField(
        label,
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_WAIT_SECONDS)],
    )


class Provider(models.Model):
    """An OpenAI-compatible API. The settings LLM_UPSTREAM_* describe the row `environment`."""

    slug = models.SlugField(_("slug"), unique=True)
    name = models.CharField(_("name"), max_length=100)
    public_name = models.CharField(
        _("name on the public page"),
        max_length=100,
        blank=True,
        db_default="",
        help_text=_("For visitors who are not logged in. If empty, they read “Provider 1”."),
    )
    base_url = models.URLField(_("base URL"), blank=True, help_text=_("Up to and including /v1."))
    encrypted_key = models.TextField(_("encrypted key"), blank=True, editable=False)
    key_header = models.CharField(
        _("header for the key"),
        max_length=20,
        choices=KeyHeader,
        default=KeyHeader.BEARER,
        db_default=KeyHeader.BEARER,
    )
    own_key_header = models.CharField(
        _("other header for the key"),
        max_length=60,
        blank=True,
        db_default="",
        validators=[validate_key_header],
        help_text=_("If filled, this header has the key, without a word before it."),
    )
    proxy = models.CharField(
        _("proxy"),
        max_length=300,
        blank=True,
        db_default="",
        help_text=_(
            "http://host:port. If empty, HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment "
            "apply. “direct” uses no proxy."
        ),
    )
    encrypted_proxy_login = models.TextField(
        _("encrypted login for the proxy"), blank=True, db_default="", editable=False
    )
    endpoints = ArrayField(
        models.CharField(max_length=40, choices=Endpoint),
        verbose_name=_("supported routes"),
        default=every_endpoint,
    )
    # Parameters on no list of docs/parameters.md, or "*" for all of them.
    forwarded_parameters = ArrayField(
        models.CharField(max_length=MAX_NAME_LENGTH),
        verbose_name=_("unknown parameters to forward"),
        default=list,
        db_default=[],
        blank=True,
    )
    connect_seconds = _build_timeout(_("connection timeout (seconds)"))
    first_byte_seconds = _build_timeout(_("first byte timeout (seconds)"))
    idle_seconds = _build_timeout(_("idle timeout (seconds)"))
    on_disconnect = models.CharField(
        _("when the caller disconnects"),
        max_length=10,
        choices=OnDisconnect,
        default=OnDisconnect.CANCEL,
        db_default=OnDisconnect.CANCEL,
    )
    drain_seconds = models.PositiveSmallIntegerField(
        _("keep reading for (seconds)"),
        default=30,
        db_default=30,
        validators=[MaxValueValidator(600)],
    )
    # Failures in a row, and until when other providers are tried first because of them.
    failures = models.PositiveIntegerField(
        _("failures in a row"), default=0, db_default=0, editable=False
    )
    # Whose requests failed since the last success: the first caller, and whether there are others.
    failing_caller = models.CharField(
        _("first caller that failed"), max_length=80, blank=True, db_default="", editable=False
    )
    fails_for_others = models.BooleanField(
        _("fails for several callers"), default=False, db_default=False, editable=False
    )
    cooling_until = models.DateTimeField(_("paused until"), null=True, editable=False)
    # An administrator's pause, which a success does not end. `cooling_until` is not before it.
    held_back_until = models.DateTimeField(
        _("paused by an administrator until"), null=True, editable=False
    )
    last_failure_at = models.DateTimeField(_("last failure"), null=True, editable=False)
    last_error = models.CharField(
        _("last error"),
        max_length=MAX_ERROR_LENGTH,
        blank=True,
        db_default="",
        editable=False,
    )
    # The last connection test; an empty problem means that it succeeded.
    tested_at = models.DateTimeField(_("last test"), null=True, editable=False)
    test_problem = models.CharField(
        _("problem of the last test"),
        max_length=20,
        choices=Problem,
        blank=True,
        db_default="",
        editable=False,
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        db_table = "llm_providers"
        ordering = ["name"]
        verbose_name = _("provider")
        verbose_name_plural = _("providers")
        permissions = [("pause_provider", _("Can pause providers and wake them"))]

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        return (
            settings.LLM_UPSTREAM_BASE_URL
            if self.slug == ENVIRONMENT
            else self.base_url.rstrip("/")
        )

    @property
    def key(self) -> str:
        """The provider's API key in plain text. Raises provider_keys.KeyUnreadable."""
        return (
            settings.LLM_UPSTREAM_API_KEY
            if self.slug == ENVIRONMENT
            else provider_keys.decrypt(self.encrypted_key)
        )

    def set_key(self, plain: str) -> None:
        self.encrypted_key = provider_keys.encrypt(plain)

    def set_proxy_login(self, plain: str) -> None:
        """Store the login for the proxy, `user:password`; empty for none."""
        self.encrypted_proxy_login = provider_keys.encrypt(plain)


def price(label: Any, **options: Any) -> "models.DecimalField[Any, Any]":
    return models.DecimalField(
        label,
        max_digits=12,
        decimal_places=6,
        validators=[MinValueValidator(Decimal(0))],
        **options,
    )


def _build_rate(label: Any) -> "models.PositiveIntegerField[Any, Any]":
    """Return a field for the tokens of a medium; if empty, the setting applies."""
    return models.PositiveIntegerField(
        label, null=True, blank=True, validators=[MinValueValidator(1)]
    )


class LanguageModel(models.Model):
    """A model by the name that callers use.

    It has a price column, in credits per unit, for each of PRICE_KINDS. The default price applies
    if that of the prompt or the completion is empty, and the price of its whole to an empty part.
    A prompt of `long_from_tokens` or more has the prices in the second column, where there is one.
    """

    name = models.CharField(
        _("name"),
        max_length=MAX_NAME_LENGTH,
        unique=True,
        validators=[validate_model_name],
    )
    providers: "models.ManyToManyField[Provider, Deployment]" = models.ManyToManyField(
        Provider, through="Deployment", related_name="models", verbose_name=_("providers")
    )
    max_output_tokens = models.PositiveIntegerField(
        _("longest answer (tokens)"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    # What the model can do. An empty field is unknown, and then nothing is refused.
    sees_images = models.BooleanField(_("sees images"), null=True, blank=True)
    hears_audio = models.BooleanField(_("hears audio"), null=True, blank=True)
    calls_tools = models.BooleanField(_("calls tools"), null=True, blank=True)
    context_tokens = models.PositiveIntegerField(
        _("context (tokens)"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    image_tokens = _build_rate(_("most tokens per image"))
    page_tokens = _build_rate(_("most tokens per page"))
    audio_second_tokens = _build_rate(_("most tokens per second of audio"))
    video_second_tokens = _build_rate(_("most tokens per second of video"))
    long_from_tokens = models.PositiveIntegerField(
        _("long from (prompt tokens)"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
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
    def prices(self) -> Prices | None:
        """The current prices; None if there are none, so that the model cannot be sold.

        A part without a price of its own has the price of its whole.
        """
        return read_prices(self, operation.read_default_price())

    @property
    def obstacle(self) -> str | Promise:
        """Why this model cannot be used now; empty if it can."""
        deployments = [row for row in self.deployments.all() if row.is_active]
        if not self.is_active:
            return _("it is switched off")
        if not deployments:
            return _("it has no provider")
        if not any(row.provider.is_active for row in deployments):
            return _("its providers are switched off")
        return "" if self.prices else _("it has no price, and there is no default price")

    @property
    def output_limit(self) -> int:
        return self.max_output_tokens or settings.LLM_DEFAULT_MAX_TOKENS


for kind in PRICE_KINDS:
    LanguageModel.add_to_class(kind.column, price(kind.label, null=True, blank=True))
for kind in TOKEN_KINDS:
    long_label = format_lazy(_("long prompt: {price}"), price=kind.label)
    LanguageModel.add_to_class(kind.long_column, price(long_label, null=True, blank=True))


class Deployment(models.Model):
    """A model at one provider.

    A lower `order` is tried first. Among equal ones the order is random, in proportion to `weight`.
    """

    model = models.ForeignKey(LanguageModel, on_delete=models.CASCADE, related_name="deployments")
    provider = models.ForeignKey(
        Provider, on_delete=models.PROTECT, related_name="deployments", verbose_name=_("provider")
    )
    upstream_name = models.CharField(
        _("name at the provider"),
        max_length=200,
        blank=True,
        help_text=_("If empty, the name of the model is used."),
    )
    order = models.PositiveSmallIntegerField(
        _("order"),
        default=0,
        db_default=0,
        help_text=_("Providers with a lower number are tried first."),
    )
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
    )
    limit_spelling = models.CharField(
        _("how the limit is spelt"),
        max_length=40,
        choices=LimitSpelling,
        default=LimitSpelling.AUTO,
        db_default=LimitSpelling.AUTO,
    )
    # The parameters that it has refused; gateway_model (SQL) forgets them a day
    # later, because the provider may have changed.
    refused_parameters = ArrayField(
        models.CharField(max_length=60),
        verbose_name=_("refused parameters"),
        default=list,
        db_default=[],
        editable=False,
    )
    refused_at = models.DateTimeField(_("refused at"), null=True, editable=False)
    # What the provider takes from the operator, in US dollars for the unit of each price kind, as
    # decimal texts: `{"prices": {kind: price}, "long": {"from": tokens, "prices": {kind: price}}}`.
    # `long` is missing if all prompts have one price.
    provider_prices = models.JSONField(_("prices of the provider"), null=True, editable=False)
    # Where these are from, such as `genai-prices 0.2.3, openai/gpt-4o`, and since when.
    provider_prices_source = models.CharField(
        _("source of these prices"), max_length=200, blank=True, db_default="", editable=False
    )
    provider_prices_at = models.DateTimeField(_("imported"), null=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        db_table = "llm_deployments"
        ordering = ["order", "pk"]
        verbose_name = _("provider of the model")
        verbose_name_plural = _("providers of the model")
        constraints = [
            models.UniqueConstraint(
                fields=["model", "provider", "upstream_name"], name="llm_deployments_once"
            ),
            models.CheckConstraint(
                condition=models.Q(weight__gte=1), name="llm_deployments_weight_from_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} @ {self.provider}"
