"""Read and write notes."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from notes.models import Note


@require_http_methods(["GET", "HEAD", "POST"])
def notes(request: HttpRequest) -> HttpResponse:
    text = request.POST.get("text", "").strip() if request.method == "POST" else ""
    if text:
        Note.objects.create(text=text[:200])
        return redirect("/")
    return render(request, "notes.html", {"notes": Note.objects.order_by("-written")[:100]})
