"""Which form of a page a client takes (RFC 9110 section 12.5.1)."""

import pytest

from edge.builtin.pages import form_for
from edge.errors import EdgeError, Reason
from edge.pages import HTML, PROBLEM, TEXT, page


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html", HTML),
        ("TEXT/HTML", HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("application/json", PROBLEM),
        ("application/json, text/plain, */*", PROBLEM),
        ("application/problem+json;q=0.5, text/html;q=0.4", PROBLEM),
        ("text/html;q=0", TEXT),
        ("text/html;q=0.1, text/plain", TEXT),
        ("text/html;q=x", TEXT),
        ("image/png", TEXT),
        (",;,=;q", TEXT),
        ("a/b," * 40 + "text/html", TEXT),  # past the ranges that are looked at
    ],
)
def test_a_form_is_chosen(accept: str, form: str) -> None:
    assert form_for(accept) == form


@pytest.mark.parametrize("form", [TEXT, HTML, PROBLEM])
def test_every_form_says_what_there_is_to_say_and_hides_the_detail(form: str) -> None:
    error = EdgeError(Reason.NO_PEER, "secret 10.0.0.1", message="a <b> & c")
    made = page(error, "id-1", form)
    body = (made.body or b"").decode()
    assert made.status == 503
    assert "no-peer" in body
    assert "id-1" in body
    assert "secret" not in body
    assert ("a &lt;b&gt; &amp; c" if form == HTML else "a <b> & c") in body
