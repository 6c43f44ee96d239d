"""Users in the admin: who they are, their plan, limits and access.

credits/admin/users.py registers the page, because it adds the credits.
"""

from typing import Any, ClassVar

import allauth.account.admin
import allauth.usersessions.admin  # noqa: F401 – both register the admins that are removed below
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Model
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.forms import AdminPasswordChangeForm

from accounts.access import done_by_administrators
from accounts.admin.acts.buttons import HasActs
from accounts.admin.acts.page import ActPage
from accounts.admin.acts.people import DisableUser, EnableUser
from accounts.admin.address_search import FindsSpellings
from accounts.admin.filters import DebtFilter
from accounts.admin.stale_pages import RefusesStalePages
from accounts.admin.user_forms import NewUserForm, UserForm
from accounts.admin.word_filters import AccountFilter, BalanceFilter, RightsFilter
from accounts.email_addresses import show_address
from accounts.models import LIMITS, User
from accounts.toolbox.request_source import Source

# The user's page shows the email addresses; only users themselves see their browser sessions.
admin.site.unregister((EmailAddress, UserSession))

FACTS = ("date_joined", "last_login", "closed_at")
CHOICES = ("language", "time_zone", "currency", "theme")  # which the user makes
ONLY_SUPERUSERS = ("is_staff", "is_superuser", "groups", *LIMITS)


class EmailAddressInline(TabularInline):
    """Shows the addresses of a user. The user's own field changes the address."""

    model = EmailAddress
    fields = readonly_fields = ("address", "verified", "primary")
    extra = 0
    can_delete = False
    hide_title = True  # the address as it is stored

    @admin.display(description=gettext_lazy("email address"))
    def address(self, row: EmailAddress) -> str:
        return show_address(row.email)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class UserAdmin(
    HasActs,
    RefusesStalePages,
    FindsSpellings,
    DjangoUserAdmin[User],  # type: ignore[type-var]
    ModelAdmin,
):
    """The page of a user.

    Users are deactivated and never deleted, because their transactions stay.
    """

    acts: ClassVar[tuple[type[ActPage], ...]] = (DisableUser, EnableUser)
    bulk_acts = (DisableUser,)
    form = UserForm
    unwatched = ("password", *CHOICES, *FACTS)
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "address",
        "credits",
        "credits_held",
        "credits_debt",
        "plan",
        "is_active",
        "date_joined",
    )
    list_filter = (
        AccountFilter,
        BalanceFilter,
        DebtFilter,
        RightsFilter,
        ("plan", RelatedDropdownFilter),
    )
    list_filter_submit = True
    list_select_related = ("plan",)
    search_fields = ("email", "=public_id", "name")
    ordering = ("-pk",)
    show_full_result_count = False
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    inlines = (EmailAddressInline,)
    readonly_fields = (
        *("address", "credits", "credits_held", "credits_debt", "public_id"),
        *CHOICES,
        *FACTS,
    )
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (gettext_lazy("Credits"), {"fields": ("credits", "credits_held", "credits_debt", "plan")}),
        (
            gettext_lazy("Limits"),
            {
                "fields": LIMITS,
                "description": gettext_lazy(
                    "These limits replace those of the plan. Leave a field empty to use the "
                    "limit of the plan."
                ),
            },
        ),
        (gettext_lazy("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (gettext_lazy("Details"), {"fields": ("public_id", *CHOICES, *FACTS)}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "plan", "password1", "password2")}),)

    @admin.display(description=gettext_lazy("email address"), ordering="email")
    def address(self, user: User) -> str:
        return str(user)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return (
            self.readonly_fields
            if request.user.is_superuser
            else (*self.readonly_fields, *ONLY_SUPERUSERS)
        )

    def get_inlines(
        self, request: HttpRequest, obj: User | None
    ) -> tuple[type[TabularInline], ...]:
        return self.inlines if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Return whether the logged-in administrator may change this user.

        Only a superuser may change an administrator, because setting a password would take over the
        account. Nobody may change a deleted user.
        """
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or (
            obj.closed_at is None
            and (request.user.is_superuser or not (obj.is_staff or obj.is_superuser))
        )

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        (title, first), *others = super().get_fieldsets(request, obj)
        if obj and not self.has_change_permission(request, obj):
            # Who may only look sees the address as it is shown, not as it is stored.
            first = {**first, "fields": ("address", *first["fields"][1:])}
        return [(title, first), *others]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save a user. An address that an administrator enters counts as verified."""
        with atomic():
            before = User.objects.get(pk=obj.pk).email if change else obj.email
            super().save_model(request, obj, form, change)
            if obj.email != before:
                done_by_administrators.finish_address_change(
                    obj, before=before, source=Source.from_administrator(request)
                )
            if not change or "email" in form.changed_data:
                EmailAddress.objects.filter(user=obj).delete()
                EmailAddress.objects.create(user=obj, email=obj.email, verified=True, primary=True)
            if change and "is_active" in form.changed_data and not obj.is_active:
                done_by_administrators.finish_deactivation(
                    obj, source=Source.from_administrator(request)
                )

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 – Django's
        form_url: str = "",
    ) -> HttpResponse:
        """Set the password and end all access granted under the old one in a single transaction."""
        with atomic():
            before = self.get_object(request, unquote(id))
            response: HttpResponse = super().user_change_password(request, id, form_url)
            after = self.get_object(request, unquote(id))
            if before and after and before.password != after.password:
                done_by_administrators.finish_password_change(
                    after, source=Source.from_administrator(request)
                )
        return response
