"""Settings, read once from the environment (twelve-factor).

The defaults are for development: DEBUG is on, only loopback addresses are served, and the
embedded PostgreSQL is used. smartspec/checks.py refuses bad values. Settings that no environment
variable changes and that are long are in fixed_settings.py.
"""

import os
import sys
from collections import ChainMap
from pathlib import Path

import django_stubs_ext

from accounts.toolbox import headers
from smartspec import buying, fixed_settings, numbers
from smartspec.environment import Environment, is_direct_command
from smartspec.local import development
from smartspec.postgresql import options

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / ".data")))
# A server started by `make run` writes down the variables that `manage.py` in another terminal
# must know.
env.ENVIRON = ChainMap(
    env.read_secret_files(), os.environ, development.read_running_environment(DATA_DIR)
)

DEBUG = env.bool("DEBUG", default=True)
DATABASE_URL = env.str("DATABASE_URL", default="")
# The same database without a pooler, for the commands that should not pass one.
DATABASE_DIRECT_URL = env.str("DATABASE_DIRECT_URL", default="")
IS_DIRECT = bool(DATABASE_DIRECT_URL) and is_direct_command(sys.argv)
if IS_DIRECT:
    DATABASE_URL = DATABASE_DIRECT_URL
EMBEDDED_DATABASE = not DATABASE_URL
SECRET_KEY = env.secret(
    "SECRET_KEY", default=development.load_secret_key(DATA_DIR) if DEBUG else ""
)
# Fernet keys for provider keys and second factors, the newest first. If the list is empty, a key
# is derived from SECRET_KEY.
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[])

# --- Addresses of the site -------------------------------------------------------------------

PORT = env.int("PORT", default=8000)
# These two are read by gunicorn.conf.py, and checked here too.
WEB_CONCURRENCY = env.int("WEB_CONCURRENCY", default=2)
GRACEFUL_TIMEOUT = env.int("GRACEFUL_TIMEOUT", default=30)
PUBLIC_ORIGIN = env.str(
    "PUBLIC_ORIGIN", default=f"http://127.0.0.1:{PORT}" if DEBUG else ""
).rstrip("/")
PUBLIC_HOST = env.hostname(PUBLIC_ORIGIN)
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS",
    default=[*([PUBLIC_HOST] if PUBLIC_HOST else []), "localhost", "127.0.0.1", "[::1]"],
)
CSRF_TRUSTED_ORIGINS = env.list(
    "CSRF_TRUSTED_ORIGINS", default=[PUBLIC_ORIGIN] if PUBLIC_ORIGIN else []
)
CORS_ALLOWED_ORIGINS = env.list(
    "CORS_ALLOWED_ORIGINS",
    default=[
        "tauri://localhost",
        "http://tauri.localhost",
        "https://tauri.localhost",
        *(["http://localhost:1420"] if DEBUG else []),
    ],
)
# Other origins may call the API only, neither the pages nor the admin.
CORS_URLS_REGEX = r"^/(api|v1|\.well-known)/"
CORS_ALLOW_CREDENTIALS = False
CORS_ALLOW_HEADERS = fixed_settings.CORS_ALLOW_HEADERS
CORS_EXPOSE_HEADERS = fixed_settings.CORS_EXPOSE_HEADERS
# How many proxies in front of the site append to X-Forwarded-For. With 0, the client's address is
# that of the socket.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)

# --- Device login ----------------------------------------------------------------------------

FIRST_PARTY_CLIENT_ID = "smartspec-desktop"
DEVICE_CODE_SECONDS = 600
DEVICE_POLL_SECONDS = 5
DEVICE_POLL_MAX_SECONDS = 60
DEVICE_CODE_RPM = env.int("DEVICE_CODE_RPM", default=10)
DEVICE_VERIFY_RPM = env.int("DEVICE_VERIFY_RPM", default=30)
DEVICE_CODE_RPH = env.int("DEVICE_CODE_RPH", default=60)
DEVICE_UNKNOWN_CODES_RPM = 30
DEVICE_POLL_TOLERANCE_SECONDS = 1
DEVICE_CODE_KEEP_SECONDS = 24 * 3600
DEVICE_MAX_BODY_BYTES = 16 * 1024
DEVICE_CHANGES_PER_HOUR = 60  # Changes of names and budgets by one user.
# Limits of wrong user codes within DEVICE_WRONG_CODES_SECONDS. A correct code does not reset them.
DEVICE_WRONG_CODES_PER_USER = 5
DEVICE_WRONG_CODES_PER_ADDRESS = 20
DEVICE_WRONG_CODES_SECONDS = 15 * 60
# Unknown redemption codes that one user or network may enter in an hour.
WRONG_CODES_PER_USER = 10
WRONG_CODES_PER_ADDRESS = 30
# Days after which a device must be approved again, even if it is in use. 0: never.
DEVICE_SESSION_MAX_DAYS = env.int("DEVICE_SESSION_MAX_DAYS", default=0)
# How long the link in the mail about a new device works.
DEVICE_UNDO_SECONDS = 30 * 24 * 3600
# A user who logged in longer ago than this must authenticate again before approving a device.
DEVICE_FRESH_LOG_IN_SECONDS = 7 * 24 * 3600
AUTH_EVENT_KEEP_DAYS = env.int("AUTH_EVENT_KEEP_DAYS", default=400)
SCOPES = fixed_settings.SCOPES

API_KEYS_PER_HOUR = 30
API_KEYS_PER_USER = 20  # Without revoked ones.
# The time of the last use of a key or device is written at most once in this many seconds.
LAST_USE_SECONDS = 60
# A revoked or expired key is deleted after this time.
API_KEY_KEEP_SECONDS = 90 * 24 * 3600

# --- Credits and the gateway --------------------------------------------------------------

SIGNUP_BONUS_CREDITS = env.int("SIGNUP_BONUS_CREDITS", default=100)
# Days after which the remaining credits of the bonus expire. 0: never.
SIGNUP_BONUS_DAYS = env.int("SIGNUP_BONUS_DAYS", default=0)
# New people may sign up. Who has an account logs in and connects devices anyway.
SIGN_UP_OPEN = env.bool("SIGN_UP_OPEN", default=True)
# What the pages announce, in English and in Thai. Empty: nothing.
BANNER_EN = env.str("BANNER_EN", default="").strip()
BANNER_TH = env.str("BANNER_TH", default="").strip()
# Maintenance: the gateway answers 503 with these words, and tells clients to wait for so long.
MAINTENANCE = env.bool("MAINTENANCE", default=False)
MAINTENANCE_EN = env.str("MAINTENANCE_EN", default="").strip()
MAINTENANCE_TH = env.str("MAINTENANCE_TH", default="").strip()
MAINTENANCE_SECONDS = env.int("MAINTENANCE_SECONDS", default=300)
# The account page shows a notice below this many available credits.
LOW_BALANCE_CREDITS = env.int("LOW_BALANCE_CREDITS", default=20)
# An administrator who moves more credits than this at once needs the approval of a second one.
# None: never; 0: always.
ADJUST_APPROVAL_CREDITS = env.limit("ADJUST_APPROVAL_CREDITS", default=10_000)
# Whether administrators need a second factor to see anything of the admin.
ADMIN_REQUIRES_FACTOR = env.bool("ADMIN_REQUIRES_FACTOR", default=False)
# The most credits per user that an administrator without the permission to approve may move at
# once.
SUPPORT_ADJUST_CREDITS = env.int("SUPPORT_ADJUST_CREDITS", default=1000)
APPROVAL_SECONDS = 7 * 24 * 3600
# A name such as "Staging", shown on each page of the admin; empty: none.
ENVIRONMENT_NAME = env.str("ENVIRONMENT_NAME", default="").strip()
EXPORT_MAX_ROWS = env.int("EXPORT_MAX_ROWS", default=100_000)
AUDIT_STALE_SECONDS = 2 * 24 * 3600
WEB_LLM_MIN_CREDITS = env.int("WEB_LLM_MIN_CREDITS", default=1)
# None if the variable is empty: models without their own prices are then not sold.
WEB_LLM_CREDIT_PER_1K_TOKENS = env.price("WEB_LLM_CREDIT_PER_1K_TOKENS", default="1")
# What a US dollar is in credits, and the operator's margin in percent, when published prices are
# taken over. None if the variable is empty: then it has to be said each time.
CREDITS_PER_USD = env.price("CREDITS_PER_USD", default="")
PRICE_MARGIN_PERCENT = env.decimal("PRICE_MARGIN_PERCENT", default="0")
WEB_LLM_SKIP_CREDIT_FOR_STATIC = env.bool("WEB_LLM_SKIP_CREDIT_FOR_STATIC", default=False)
WEB_LLM_MAX_BODY_BYTES = env.int("WEB_LLM_MAX_BODY_BYTES", default=2 * 1024 * 1024)
WEB_LLM_RPM = env.int("WEB_LLM_RPM", default=120)
WEB_LLM_TPM = env.int("WEB_LLM_TPM", default=2_000_000)
# The token for /metrics and /readyz?full. Empty: only superusers who are logged in may read them.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
SMARTSPEC_WEB_GATEWAY_TOKEN = env.str("SMARTSPEC_WEB_GATEWAY_TOKEN", default="")

LLM_UPSTREAM_BASE_URL = env.str("LLM_UPSTREAM_BASE_URL", default="").rstrip("/")
LLM_UPSTREAM_API_KEY = env.str("LLM_UPSTREAM_API_KEY", default="")
LLM_UPSTREAM_MODELS = [name for name in env.list("LLM_UPSTREAM_MODELS", default=[]) if name]
# The longest answer in tokens of a model whose row has no limit.
LLM_DEFAULT_MAX_TOKENS = env.int("LLM_DEFAULT_MAX_TOKENS", default=4096)
# The most tokens of an image, of a page of a document, and of a second of audio or video, for a
# model whose row does not say.
LLM_IMAGE_TOKENS = 2000
LLM_PAGE_TOKENS = 3000
LLM_AUDIO_SECOND_TOKENS = 32
LLM_VIDEO_SECOND_TOKENS = 300
# A completion is tried with at most LLM_MAX_ATTEMPTS providers. A provider that fails
# LLM_COOL_AFTER_FAILURES times in a row is not used for LLM_COOL_SECONDS.
LLM_MAX_ATTEMPTS = 3
LLM_COOL_AFTER_FAILURES = 3
LLM_COOL_SECONDS = 30
# The longest cool-down that a provider's Retry-After header can set.
LLM_COOL_MAX_SECONDS = 600
# How long a repeated request gets the first response again, and how large that may be.
IDEMPOTENCY_SECONDS = 24 * 3600
IDEMPOTENT_ANSWER_BYTES = 1024 * 1024
REQUEST_BODY_SECONDS = env.int("REQUEST_BODY_SECONDS", default=30)
LLM_CONNECT_SECONDS = 5
# How long a provider may take to begin, how long it may be silent after that, and how long an
# answer may take from its beginning. A model that reasons says nothing for minutes.
LLM_FIRST_BYTE_SECONDS = env.int("LLM_FIRST_BYTE_SECONDS", default=600)
LLM_IDLE_SECONDS = env.int("LLM_IDLE_SECONDS", default=300)
LLM_COMPLETION_SECONDS = env.int("LLM_COMPLETION_SECONDS", default=1800)
LLM_WRITE_SECONDS = 60
LLM_KEEP_ALIVE_SECONDS = 10
LLM_MAX_EVENT_BYTES = 4 * 1024 * 1024
LLM_MAX_ANSWER_BYTES = 40 * 1024 * 1024  # 2,048 vectors of 3,072 numbers in base64 take 34 MB.
# How long a count of tokens waits for providers before it is estimated, and after how long a
# provider that cannot count is asked again.
LLM_COUNT_SECONDS = 5
LLM_COUNT_RETRY_SECONDS = 600
# Where settlements wait while the database takes none.
SPOOL_DIR = Path(env.str("SPOOL_DIR", default="") or DATA_DIR / "spool")
# The longest completion and a margin: the worker of an older hold has died.
HOLD_SECONDS = LLM_FIRST_BYTE_SECONDS + LLM_COMPLETION_SECONDS + 300

# --- Buying credits -----------------------------------------------------------------------

vars().update(buying.read_settings(env, debug=DEBUG, origin=PUBLIC_ORIGIN))

# --- Django -------------------------------------------------------------------------------

INSTALLED_APPS = fixed_settings.INSTALLED_APPS

MIDDLEWARE = fixed_settings.MIDDLEWARE

# The middleware for completions of programs, which send a token and need neither a session nor
# pages (smartspec/wsgi.py).
GATEWAY_MIDDLEWARE = fixed_settings.GATEWAY_MIDDLEWARE

ROOT_URLCONF = "smartspec.urls"
WSGI_APPLICATION = "smartspec.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.preferences.describe_page",
            ],
            # It reads all applications, so it lives with the admin.
            "libraries": {"related": "smartspec.admin.related.links"},
        },
    }
]

# --- Database -----------------------------------------------------------------------------

DATABASE_IS_THERE = bool(DATABASE_URL or development.find_running_database(DATA_DIR))
# The role that the site runs as, if that is not the owner of the tables. `migrate` grants it the
# privileges that it needs.
DATABASE_APP_ROLE = env.str(
    "DATABASE_APP_ROLE", default=development.APP_ROLE if EMBEDDED_DATABASE else ""
)
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=8)
# Whether DATABASE_URL is that of a pooler in transaction mode, such as PgBouncer.
DATABASE_POOLER = env.bool("DATABASE_POOLER", default=False) and not IS_DIRECT
# Hosts of PostgreSQL in a private network, which may be reached without TLS.
DATABASE_PRIVATE_HOSTS = env.list("DATABASE_PRIVATE_HOSTS", default=[])
_database = env.database(DATABASE_URL or development.choose_database_url(DATA_DIR))
DATABASES = {
    "default": {
        **_database,
        "OPTIONS": options.build_options(
            of_url=_database["OPTIONS"],
            pool_size=max(DATABASE_POOL_SIZE, 1),  # A check refuses less.
            pool_seconds=options.POOL_SECONDS if DATABASE_IS_THERE else 1,
            has_pooler=DATABASE_POOLER,
        ),
        "DISABLE_SERVER_SIDE_CURSORS": DATABASE_POOLER,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Users -----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "accounts.login.hashers.PasswordHasher",
    "accounts.login.hashers.ClientSecretHasher",
]
AUTH_PASSWORD_VALIDATORS = fixed_settings.AUTH_PASSWORD_VALIDATORS
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "account"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.login.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = 15 * 60
UNVERIFIED_KEEP_SECONDS = 24 * 3600  # A sign-up whose address is not verified.
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS = 5
# SUPPORTS_CHANGE stays off: allauth offers it for new addresses only, so a stranger could tell
# them from registered ones.
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_EMAIL_CONFIRMATION_AUTHENTICATED_REDIRECT_URL = "/account/security"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# A log-in counts as a confirmation of the password for as long (accounts/login/freshness.py).
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
ACCOUNT_RATE_LIMITS = fixed_settings.ACCOUNT_RATE_LIMITS
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_CHANGE_EMAIL = True  # A user has one address; a new one replaces it once it is verified.
ACCOUNT_EMAIL_SUBJECT_PREFIX = "SmartSpec: "
ACCOUNT_FORMS = fixed_settings.ACCOUNT_FORMS
PASSWORD_RESET_TIMEOUT = 3600
MFA_ADAPTER = "accounts.access.second_factors.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "SmartSpec"
MFA_FORMS = fixed_settings.MFA_FORMS
# "Last seen" of a browser on the security page can be this many seconds old.
BROWSER_SEEN_SECONDS = 5 * 60
# Rate limits must apply across all workers, which share only the database.
CACHES = {
    "default": {
        "BACKEND": "accounts.database.cache.DatabaseCache",
        "LOCATION": "django_cache",
        # Above this number a third of the entries is deleted, even valid ones. With Django's
        # default of 300, an attacker could push the counters of rate limits out of the cache.
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}
EMAIL_CONFIG = env.email("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10  # Seconds.
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="SmartSpec <noreply@localhost>")
# The address that users are told to ask for credits. Empty: no address is shown.
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="").strip()
# The operator's terms and privacy notice, linked at the foot of each page. Empty: no link.
TERMS_LINK = env.str("TERMS_LINK", default="").strip()
PRIVACY_LINK = env.str("PRIVACY_LINK", default="").strip()

# --- OAuth --------------------------------------------------------------------------------

# The default is written out, because makemigrations crashes on a foreign key to it otherwise.
OAUTH2_PROVIDER_APPLICATION_MODEL = "oauth2_provider.Application"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "deviceauth.DeviceCode"
OAUTH2_PROVIDER = fixed_settings.OAUTH2_PROVIDER
# E001 is about the library's own grace period, which reads stored tokens back. Here the
# successors are derived instead (deviceauth/oauth/token_values.py).
# W005 and W021 ask for HSTS on the whole domain, which is the operator's choice.
SILENCED_SYSTEM_CHECKS = ["oauth2_provider.E001", "security.W005", "security.W021"]

REST_FRAMEWORK = fixed_settings.REST_FRAMEWORK
SPECTACULAR_SETTINGS = fixed_settings.SPECTACULAR_SETTINGS

# --- Language, time, static files ---------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("th", "ไทย")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
FORMAT_MODULE_PATH = "smartspec.formats"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# --- Security -----------------------------------------------------------------------------

HTTPS = PUBLIC_ORIGIN.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_ENGINE = "accounts.login.sessions"
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = env.bool("SSL_REDIRECT", default=True) and HTTPS
# Who measures reads these inside the network of the servers.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = (
    (headers.wsgi_name(headers.FORWARDED_PROTO), "https") if TRUSTED_PROXIES else None
)
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# Both bind the whole domain, so the operator has to ask for them.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_SUBDOMAINS", default=False) and HTTPS
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False) and HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = WEB_LLM_MAX_BODY_BYTES
CONTENT_SECURITY_POLICY = fixed_settings.CONTENT_SECURITY_POLICY
ADMIN_CONTENT_SECURITY = fixed_settings.ADMIN_CONTENT_SECURITY

# --- Admin --------------------------------------------------------------------------------

UNFOLD = fixed_settings.UNFOLD

# --- Logs ---------------------------------------------------------------------------------

LOGGING = fixed_settings.LOGGING

# The least and the largest value of each number, for the settings at run time too.
NUMBER_LIMITS = numbers.LIMITS
# What the admin shows of the environment.
ENVIRONMENT_VARIABLES = env.facts
# The variables that could not be read, with the problem. smartspec/checks.py refuses them.
BAD_VARIABLES = env.bad
