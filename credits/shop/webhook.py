"""The route to which Stripe sends its events."""

from django.conf import settings
from django.db.transaction import on_commit
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.toolbox.dialects import PAGE
from credits.purchases import incoming_events
from credits.stripe_api.webhooks import BadEvent


@csrf_exempt  # The signature says who sends it.
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Store a signed event and answer 200; it is applied in the background.

    400: no signature of ours, or no event. 404: no secret is set. 503: the database is away, so
    that Stripe sends the event again.
    """
    if not any(settings.STRIPE_WEBHOOK_SECRETS):
        raise Http404
    try:
        incoming_events.store(request.body, request.headers.get("Stripe-Signature", ""))
    except BadEvent:
        return PAGE.answer(400, "This is no event that Stripe signed.", "bad_event")
    on_commit(incoming_events.applier.wake)
    return JsonResponse({"received": True})
