"""Receipts, tax invoices and credit notes for printing, and whom they are for."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access.authentication import require_user
from accounts.models import User
from credits.documents import buyer_details, issue, printed
from credits.documents.buyer_details import Buyer
from credits.documents.issue import NotReplaceable
from credits.models import Document
from credits.shop.buyer_form import BuyerForm, make_initial


@require_safe
@never_cache
@login_required
def document(request: HttpRequest, public_id: str) -> HttpResponse:
    """Show one of the reader's own documents as it is printed; `?copy` marks it as a copy."""
    row = _get_own(request, public_id)
    context = printed.make_context(row, is_copy="copy" in request.GET)
    context["is_replaceable"] = _explain_refusal(row) == ""
    return render(request, "credits/documents/document.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def invoice_details(request: HttpRequest) -> HttpResponse:
    """Show and store whom the documents to come are for."""
    user = require_user(request)
    form = _make_form(request, buyer_details.read(user))
    if request.method == "POST" and form.is_valid():
        buyer_details.save(user, form.make_buyer())
        messages.success(request, _("Saved. Your next documents will have these details."))
        return redirect("account_invoice_details")
    return _render_form(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def replace(request: HttpRequest, public_id: str) -> HttpResponse:
    """Issue a document of the reader anew with the details of the form, and store these."""
    row = _get_own(request, public_id)
    if refusal := _explain_refusal(row):
        messages.error(request, refusal)
        return redirect("account_document", public_id=row.public_id)
    user = require_user(request)
    form = _make_form(request, issue.read_buyer(row) or buyer_details.read(user))
    if request.method == "POST" and form.is_valid():
        return _replace(request, user, row, form.make_buyer())
    return _render_form(request, form, row)


def _replace(request: HttpRequest, user: User, row: Document, buyer: Buyer) -> HttpResponse:
    """Replace the document, unless it has these details already or was replaced meanwhile."""
    buyer_details.save(user, buyer)
    if buyer == issue.read_buyer(row):
        messages.info(request, _("The document has these details already."))
        return redirect("account_document", public_id=row.public_id)
    try:
        issued = issue.replace_document(row, buyer=buyer)
    except NotReplaceable as refusal:
        messages.error(request, refusal.message)
        return redirect("account_document", public_id=row.public_id)
    messages.success(
        request,
        _("%(new)s replaces %(old)s, which is cancelled.")
        % {"new": issued.number, "old": row.number},
    )
    return redirect("account_document", public_id=issued.public_id)


def _get_own(request: HttpRequest, public_id: str) -> Document:
    own = Document.objects.filter(user=require_user(request))
    return get_object_or_404(own.select_related("purchase", "corrects"), public_id=public_id)


def _explain_refusal(row: Document) -> str:
    """Return why the reader may not have this document issued anew; empty if they may."""
    try:
        issue.refuse_buyer(row)
    except NotReplaceable as refusal:
        return refusal.message
    return ""


def _make_form(request: HttpRequest, buyer: Buyer | None) -> BuyerForm:
    if request.method == "POST":
        return BuyerForm(request.POST)
    return BuyerForm(initial=make_initial(buyer))


def _render_form(request: HttpRequest, form: BuyerForm, row: Document | None) -> HttpResponse:
    status = 400 if form.is_bound else 200
    fields = [form[name] for name in ("name", "address", "tax_number", "branch")]
    context = {"form": form, "fields": fields, "document": row}
    return render(request, "credits/documents/buyer.html", context, status=status)
