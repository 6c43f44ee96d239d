"""Accounts in the admin. The user's page is registered by credits/admin.py, which adds credits to it."""

import re
from typing import Any

import allauth.account.admin
import allauth.mfa.admin
import allauth.usersessions.admin  # noqa: F401 – these three register what we take back below
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import BadRequest, ValidationError
from django.db import connection
from django.db.models import Model, QuerySet
from django.db.transaction import atomic
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts.access import account_deletion, administrators_log, done_by_administrators
from accounts.access.second_factors import NAMES
from accounts.admin.filters import (
    DebtFilter,
    KindFilter,
    LoggedAdministratorFilter,
    OneUserFilter,
    WrittenFilter,
    chosen_user,
)
from accounts.email_addresses import written
from accounts.models import LIMITS, AuthEvent, OutgoingMail, Plan, User
from accounts.toolbox.digests import checksum
from accounts.toolbox.keyset import KeysetChangeList
from accounts.toolbox.request_source import Source, describe

for taken_back in (EmailAddress, Group, Authenticator, UserSession):
    admin.site.unregister(taken_back)

FREE = "free"  # the plan that every new user is on
FACTS = ("date_joined", "last_login", "closed_at")
FILTERS_ASK = re.compile(r"((id|slug|name)__)?(exact|in|isnull|isempty|gte?|lte?)")
ONLY_SUPERUSERS = ("is_staff", "is_superuser", "groups", *LIMITS)


class OneAddress(forms.ModelForm[User]):
    """An address in its one way of writing that nobody else logs in with."""

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if not self.instance.pk or email != self.instance.email:
            email = written(email)
        taken = EmailAddress.objects.filter(email__iexact=email).exclude(user_id=self.instance.pk)
        if (
            taken.exists()
            or User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists()
        ):
            raise forms.ValidationError(_("Another user has this email address."))
        return email


class NewUserForm(OneAddress, UserCreationForm):
    usable_password = None  # everybody logs in with a password

    class Meta:
        model = User
        fields = ("email",)


class UserForm(OneAddress, UserChangeForm):
    """It knows which user the page showed, so that a page from before does not undo what others did meanwhile."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = User
        fields = ("email",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["seen"] = self._now = fingerprint(self.instance)

    def clean(self) -> dict[str, Any]:
        self._keep_last_superuser()
        if self.cleaned_data.get("seen") != self._now:
            raise forms.ValidationError(
                _("Someone else has just changed this user. Reload the page and try again.")
            )
        return dict(super().clean() or self.cleaned_data)

    def _keep_last_superuser(self) -> None:
        stays = all(
            self.cleaned_data.get(flag, True) for flag in ("is_active", "is_superuser", "is_staff")
        )
        if not stays and account_deletion.is_last_superuser(self.instance):
            raise forms.ValidationError(
                _("You are the only administrator. Give this role to someone else first.")
            )


def fingerprint(user: User) -> str:
    """Of all that the user's page can change, but for the groups."""
    facts = ("email", "name", "plan_id", "is_active", "is_staff", "is_superuser", *LIMITS)
    return checksum(repr([getattr(user, fact) for fact in facts]))


class CheckedActions:
    """For a ModelAdmin with actions: Django itself fails on chosen ids that are no ids."""

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        try:
            for pk in request.POST.getlist(ACTION_CHECKBOX_NAME):
                queryset.model._meta.pk.clean(pk, None)
        except ValidationError as error:
            raise BadRequest(*error.messages) from None
        response: HttpResponse | None = super().response_action(request, queryset)  # type: ignore[misc]
        return response


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only the program writes, newest first, in pages that are cut by key."""

    show_full_result_count = False  # counting millions of rows takes longer than showing a page
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def keyset(self, request: HttpRequest) -> tuple[QuerySet[Any], str]:
        """Rows among which all that the list shows are, and the key that orders them by an index."""
        return self.model._default_manager.all(), "id"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what a filter of the list asks for: others guess at columns that it does not show, bit by bit."""
        name, _, how = lookup.partition("__")
        return not how or (
            name in self._filtered_fields() and FILTERS_ASK.fullmatch(how) is not None
        )

    def _filtered_fields(self) -> set[str]:
        named = (each[0] if isinstance(each, tuple) else each for each in self.list_filter)
        return {each for each in named if isinstance(each, str)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SearchedByUser:
    """For a list of rows that belong to users: found by the whole e-mail address or public id, which have an index."""

    search_fields = ("user",)
    search_help_text = gettext_lazy("Full email address or public ID")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        user = chosen_user("", search_term)
        return (queryset.filter(user=user or 0) if search_term.strip() else queryset), False


class EmailAddressInline(TabularInline):
    """To look at: an address is changed in the user's own field."""

    model = EmailAddress
    fields = readonly_fields = ("email", "verified", "primary")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class UserAdmin(CheckedActions, DjangoUserAdmin[User], ModelAdmin):  # type: ignore[type-var]  # it asks for no more than we have
    """Users are switched off, never deleted: their transactions stay."""

    form = UserForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "email",
        "credits",
        "credits_held",
        "credits_debt",
        "plan",
        "is_active",
        "date_joined",
    )
    list_filter = ("plan", "is_active", "is_staff", DebtFilter)
    list_select_related = ("plan",)
    search_fields = ("email", "=public_id", "name")
    ordering = ("-pk",)
    show_full_result_count = False
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    inlines = (EmailAddressInline,)
    readonly_fields = ("credits", "credits_held", "credits_debt", "public_id", *FACTS)
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
        (gettext_lazy("Details"), {"fields": ("public_id", *FACTS)}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "plan", "password1", "password2")}),)

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
        """Only a superuser changes an administrator: a password set here is a way in. What is deleted stays so."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or (
            obj.closed_at is None and (not obj.is_staff or request.user.is_superuser)
        )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> User | None:
        """Where it is about to be changed, under its lock: Django has opened the transaction by then."""
        user: User | None = super().get_object(request, object_id, from_field)
        if user is None or request.method != "POST" or not connection.in_atomic_block:
            return user
        return User.objects.locked(user.pk)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        (title, first), *others = super().get_fieldsets(request, obj)
        if obj and self.has_change_permission(request, obj):
            first = {**first, "fields": (*first["fields"], "seen")}
        return [(title, first), *others]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001
        """An address that an administrator entered counts as verified."""
        with atomic():
            before = User.objects.get(pk=obj.pk).email if change else obj.email
            super().save_model(request, obj, form, change)
            if obj.email != before:
                done_by_administrators.address_was_changed(
                    obj, before=before, source=Source.of_administrator(request)
                )
            if not change or "email" in form.changed_data:
                EmailAddress.objects.filter(user=obj).delete()
                EmailAddress.objects.create(user=obj, email=obj.email, verified=True, primary=True)
            if change and "is_active" in form.changed_data and not obj.is_active:
                done_by_administrators.was_deactivated(obj, source=Source.of_administrator(request))

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 – Django's
        form_url: str = "",
    ) -> HttpResponse:
        """A password and the end of what was connected under the old one are one."""
        with atomic():
            before = self.get_object(request, unquote(id))
            response: HttpResponse = super().user_change_password(request, id, form_url)
            after = self.get_object(request, unquote(id))
            if before and after and before.password != after.password:
                done_by_administrators.password_was_set(
                    after, source=Source.of_administrator(request)
                )
        return response


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    list_display = (
        "name",
        "slug",
        "monthly_credits",
        "requests_per_minute",
        "tokens_per_minute",
        "max_concurrent",
    )
    search_fields = ("name", "slug")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> tuple[str, ...]:
        # The slug is the key that users refer to: another one would be another plan.
        return ("slug",) if obj else ()

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        plan = self.get_object(request, object_id)
        if plan is not None and (problem := why_kept(plan)):
            messages.error(request, problem)
            return HttpResponseRedirect(reverse("admin:accounts_plan_change", args=[plan.pk]))
        response: HttpResponse = super().delete_view(request, object_id, extra_context)
        return response


def why_kept(plan: Plan) -> str:
    """Why this plan cannot be deleted; empty if it can."""
    if plan.slug == FREE:
        return _("The free plan cannot be deleted, because new users start on it.")
    if users := plan.users.count():
        return ngettext(
            "%(users)d user is on this plan. Move them to another plan first.",
            "%(users)d users are on this plan. Move them to another plan first.",
            users,
        ) % {"users": users}
    return ""


@admin.register(Group)
class GroupAdmin(CheckedActions, ModelAdmin):
    search_fields = ("name",)
    filter_horizontal = ("permissions",)


@admin.register(Authenticator)
class FactorAdmin(ReadOnlyAdmin):
    """Second factors, without their secrets. A superuser deletes one for a person who lost it."""

    list_display = ("user", "kind", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    fields = readonly_fields = ("user", "kind", "created_at", "last_used_at")
    actions = None

    @admin.display(description=gettext_lazy("kind"))
    def kind(self, factor: Authenticator) -> str:
        return capfirst(str(NAMES[factor.type]))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        """Recovery codes alone protect nothing, and would be in the way of new ones: they go with the last factor."""
        with atomic():
            super().delete_model(request, obj)
            left = Authenticator.objects.filter(user=obj.user)
            if not left.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
                left.delete()
            done_by_administrators.factor_was_removed(
                obj.user, kind=obj.type, source=Source.of_administrator(request)
            )


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """The administrators' log: who, when, what and why."""

    list_display = ("action_time", "user", "kind", "what", "text")
    list_display_links = ("action_time",)
    list_filter = (KindFilter, LoggedAdministratorFilter, ("action_time", WrittenFilter))
    list_filter_submit = True
    list_select_related = ("user", "content_type")
    search_fields = ("user__email", "object_repr", "change_message")
    search_help_text = gettext_lazy("Administrator, object or reason")
    fields = readonly_fields = ("action_time", "user", "kind", "what", "text")

    @admin.display(description=gettext_lazy("kind"))
    def kind(self, entry: LogEntry) -> str:
        return str(dict(administrators_log.KINDS).get(entry.action_flag, entry.action_flag))

    @admin.display(description=gettext_lazy("object"))
    def what(self, entry: LogEntry) -> str:
        """A link where the object still has a page."""
        kind = str(getattr(entry.content_type, "name", ""))
        name = f"{kind}: {entry.object_repr}" if kind else entry.object_repr
        if not entry.object_id or not (address := entry.get_admin_url()):
            return name
        return format_html(
            '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, name
        )

    @admin.display(description=gettext_lazy("action and reason"))
    def text(self, entry: LogEntry) -> str:
        return entry.get_change_message() or "–"


@admin.register(AuthEvent)
class AuthEventAdmin(SearchedByUser, ReadOnlyAdmin):
    """What happened to people's access: who, from where, when."""

    list_display = ("created_at", "kind", "user", "address", "device", "facts")
    list_filter = (OneUserFilter, ("kind", ChoicesDropdownFilter), ("created_at", WrittenFilter))
    list_filter_submit = True
    list_select_related = ("user",)
    fields = readonly_fields = ("created_at", "kind", "user", "address", "user_agent", "facts")

    @admin.display(description=gettext_lazy("device"))
    def device(self, event: AuthEvent) -> str:
        return describe(event.user_agent) if event.user_agent else "–"

    @admin.display(description=gettext_lazy("details"))
    def facts(self, event: AuthEvent) -> str:
        return ", ".join(f"{name}: {value}" for name, value in event.details.items()) or "–"


@admin.register(OutgoingMail)
class OutgoingMailAdmin(ReadOnlyAdmin):
    """Mails that wait, without their text: it can hold a link that is the user's alone."""

    list_display = ("created_at", "to", "subject", "tries", "next_try_at")
    fields = readonly_fields = ("created_at", "to", "subject", "tries", "next_try_at")
