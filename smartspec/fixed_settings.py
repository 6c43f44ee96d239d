"""Long settings that no environment variable changes.

They configure forms, routes, the admin, the OpenAPI document and the logs.
"""

from typing import Any

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

from accounts.toolbox import headers
from smartspec import server

# For a preflight that names no header; smartspec/policies/cors.py allows those that it names.
CORS_ALLOW_HEADERS: list[str] = ["accept", "authorization", "content-type", *headers.RECEIVED]

# All that we send and browsers hide without this (Fetch standard, CORS-safelisted headers).
CORS_EXPOSE_HEADERS: list[str] = ["allow", "retry-after", "www-authenticate", *headers.SENT]

INSTALLED_APPS: list[str] = [
    "accounts",
    "credits",
    "deviceauth",
    "llmproxy",
    "smartspec",
    "unfold.apps.BasicAppConfig",  # without its site, because ours is used
    "unfold.contrib.filters",
    "smartspec.admin_site.SiteConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "corsheaders",
    "drf_spectacular",
    "oauth2_provider",
    "rest_framework",
]

MIDDLEWARE: list[str] = [
    "smartspec.policies.cors.ReflectingCorsMiddleware",
    "smartspec.policies.compression.CompressPages",  # outside of what may write another text
    "smartspec.middleware.AnswerInDialect",
    "smartspec.policies.plain_http.RefusePlainHttp",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "smartspec.policies.content_security.ContentSecurity",
    "smartspec.middleware.RejectMalformedRequests",
    "smartspec.policies.slashes.OtherSlash",
    "accounts.login.sessions.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.languages.CurrentReaderMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "smartspec.policies.administrator_factor.RequireFactor",
    "accounts.middleware.BrowserLastSeenMiddleware",
    "accounts.middleware.ReaderLanguageMiddleware",
    "accounts.middleware.OperatorTimeZoneMiddleware",
    "accounts.middleware.NoStoreMiddleware",
    "accounts.middleware.ReturnAddressMiddleware",
    "accounts.middleware.DuplicateSubmissionMiddleware",
]

GATEWAY_MIDDLEWARE: list[str] = [
    "smartspec.policies.cors.ReflectingCorsMiddleware",
    "smartspec.middleware.AnswerInDialect",
    "smartspec.policies.plain_http.RefusePlainHttp",
    "smartspec.middleware.RejectMalformedRequests",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
]

SCOPES: dict[str, Any] = {
    "llm:chat": _("Use language models with your credits"),
    "mcp:read": _("Read from your connected tools"),
    "mcp:write": _("Make changes through your connected tools"),
}

OAUTH2_PROVIDER: dict[str, Any] = {
    "SCOPES": SCOPES,
    "DEFAULT_SCOPES": ["llm:chat", "mcp:read"],
    "ACCESS_TOKEN_EXPIRE_SECONDS": 15 * 60,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 24 * 3600,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 60,
    "OAUTH2_SERVER_CLASS": "deviceauth.oauth.server.Server",
    "OAUTH2_VALIDATOR_CLASS": "deviceauth.oauth.validator.Validator",
    "CLIENT_SECRET_HASHER": "client_secret",
    "ACCESS_TOKEN_GENERATOR": "deviceauth.oauth.token_values.create_access_token",
    "REFRESH_TOKEN_GENERATOR": "deviceauth.oauth.token_values.create_refresh_token",
    # The hook of django-oauth-toolkit looks a device code up by its raw value, which is not stored.
    # deviceauth/oauth/validator.py does this check instead.
    "OAUTH_PRE_TOKEN_VALIDATION": [],
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
}

ACCOUNT_FORMS: dict[str, Any] = {
    "login": "accounts.login.forms.LoginForm",
    "signup": "accounts.login.forms.SignupForm",
    "reset_password": "accounts.login.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.login.forms.ResetPasswordKeyForm",
    "change_password": "accounts.login.forms.ChangePasswordForm",
    "set_password": "accounts.login.forms.SetPasswordForm",
    "add_email": "accounts.login.forms.AddEmailForm",
    "reauthenticate": "accounts.login.forms.ReauthenticateForm",
    "confirm_email_verification_code": "accounts.login.forms.EmailCodeForm",
}

ACCOUNT_RATE_LIMITS: dict[str, str] = {
    # Limits of wrong passwords (docs/decisions/0011): for an account from one address; from one
    # address; for an account from all unknown addresses. The first limit also counts wrong codes
    # of a second factor.
    "login_failed": "5/5m/key,30/d/key",
    "guesses_of_address": "10/m/ip,100/h/ip",
    "guesses_at_account": "100/d/key",
    # Limits of the mails that anybody can trigger to any address.
    "confirm_email": "1/10s/key,10/h/key",
    "reset_password": "20/m/ip",
    "resets_from_network": "3/10m/key,10/d/key",
    "resets_of_account": "50/d/key",
}

MFA_FORMS: dict[str, Any] = {
    "authenticate": "accounts.login.factor_forms.AuthenticateForm",
    "reauthenticate": "accounts.login.factor_forms.ReauthenticateCodeForm",
    "activate_totp": "accounts.login.factor_forms.ActivateTOTPForm",
    "login_webauthn": "accounts.login.factor_forms.LogInPasskeyForm",
    "authenticate_webauthn": "accounts.login.factor_forms.AuthenticatePasskeyForm",
    "reauthenticate_webauthn": "accounts.login.factor_forms.ReauthenticatePasskeyForm",
    "add_webauthn": "accounts.login.factor_forms.AddPasskeyForm",
    "edit_webauthn": "accounts.login.factor_forms.EditPasskeyForm",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "SmartSpec",
    "DESCRIPTION": "Prepaid access to language models: device login, credits, and an"
    " OpenAI-compatible gateway.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {"TransactionType": "credits.models.Transaction.Type"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "smartspec.openapi.complete",
    ],
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "SmartSpec",
    "SITE_HEADER": "SmartSpec",
    "SITE_SUBHEADER": _("Administration"),
    "SITE_ICON": lambda request: static("smartspec/icon.svg"),
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("smartspec/icon.svg"),
        }
    ],
    "STYLES": [
        lambda request: static("smartspec/admin-colours.css"),
        lambda request: static("smartspec/admin-frame.css"),
        lambda request: static("smartspec/admin-lists.css"),
        lambda request: static("smartspec/admin.css"),
        lambda request: static("smartspec/admin_find.css"),
    ],
    "SCRIPTS": [
        lambda request: static("smartspec/long_texts.js"),
        lambda request: static("smartspec/admin_find.js"),
    ],
    "SHOW_LANGUAGES": True,
    "SHOW_HISTORY": "accounts.admin.bases.may_view_log",
    "ENVIRONMENT": "smartspec.admin.sidebar.label_environment",
    "ENVIRONMENT_TITLE_PREFIX": "smartspec.admin.sidebar.write_title_prefix",
    "SIDEBAR": {
        "navigation": "smartspec.admin.sidebar.build_navigation",
        "show_search": True,
        "command_search": True,
    },
    # static/smartspec/admin-colours.css has the colours, so that pages need not repeat them.
    "COLORS": dict.fromkeys(("base", "primary", "font"), lambda request: {}),
    "DASHBOARD_CALLBACK": "smartspec.admin.dashboard.fill_dashboard",
}

LOGGING: dict[str, Any] = server.LOGGING | {
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # Every poll of a waiting device is a 4xx response. The important ones are stored as events.
        "django.request": {"level": "ERROR"},
        "psycopg.pool": {"level": "ERROR"},  # Its warnings repeat exceptions that are raised.
        # These two libraries log tokens at DEBUG.
        "oauthlib": {"level": "INFO"},
        "oauth2_provider": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},  # It notes each request at INFO.
    },
}

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.access.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "accounts.toolbox.errors.render_refusal",
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}

CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}

# Unfold uses Alpine, which evaluates attributes and sets styles. Only the admin may do that.
ADMIN_CONTENT_SECURITY: dict[str, Any] = {
    "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
