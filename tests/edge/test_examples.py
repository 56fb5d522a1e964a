"""The example hooks do what they say, with the real lane around them."""

import importlib.util
import json
from pathlib import Path

import pytest

from edge import Hook, Response
from edge.hooks import HookLoadError, load
from edge.testing import Rig, Upstream

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples" / "hooks"


def example(name: str) -> Hook:
    (hook,) = load([str(EXAMPLES / f"{name}.py")], "")
    return hook


@pytest.mark.parametrize(
    "path", ["/.git/config", "/%2egit/config", "/x/../.git/config", "/.env", "//.git/", "/internal"]
)
def test_private_paths_look_as_if_they_were_not_there(path: str) -> None:
    answer = Rig(example("block_private")).send(
        f"GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n".encode()
    )
    assert answer.status == 404
    assert answer.upstream is None


def test_other_paths_pass_the_private_path_hook() -> None:
    assert Rig(example("block_private")).get("http://example.com/internals").status == 200


def split_rig() -> Rig:
    peers = {
        "127.0.0.1:9000": lambda request: Response(200, "stable"),
        "127.0.0.1:9001": lambda request: Response(200, "beta"),
    }
    rig = Rig(example("feature_split"), peers=peers)
    return rig


def test_the_beta_cookie_chooses_the_beta_peer() -> None:
    answer = split_rig().get("http://example.com/", {"Cookie": "a=1; beta=1"})
    assert answer.body == b"beta"


def test_a_dead_beta_peer_leaves_its_users_to_the_route() -> None:
    rig = Rig(
        example("feature_split"), peers={"127.0.0.1:9000": lambda request: Response(200, "stable")}
    )
    answer = rig.get("http://example.com/", {"Cookie": "beta=1"})
    assert (answer.body, answer.log["attempts"]) == (b"stable", 2)


def test_the_beta_share_is_a_flag_that_all_workers_see() -> None:
    from edge import shared

    rig = split_rig()
    shared.flag("beta-percent").set(100)
    try:
        assert rig.get("http://example.com/").body == b"beta"
    finally:
        shared.flag("beta-percent").set(0)


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokens").write_text("ci:s3cret\n")
    monkeypatch.setenv("EDGED_TOKENS", str(tmp_path / "tokens"))


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer wrong", 401),
        ("Basic s3cret", 401),
        ("", 401),
    ],
)
def test_the_api_wants_a_known_token(header: str, status: int) -> None:
    headers = {"Authorization": header} if header else {}
    answer = Rig(example("bearer_token")).get("http://example.com/api/x", headers)
    assert answer.status == status
    assert (answer.upstream is not None) == (status == 200)


@pytest.mark.usefixtures("tokens")
def test_the_caller_is_named_by_the_edge_alone() -> None:
    rig = Rig(example("bearer_token"))
    forged = rig.get("http://example.com/", {"X-Caller": "root"})
    known = rig.get(
        "http://example.com/api", {"X-Caller": "root", "Authorization": "Bearer s3cret"}
    )
    assert forged.upstream is not None
    assert "x-caller" not in forged.upstream.headers
    assert known.upstream is not None
    assert known.upstream.headers.get_all("x-caller") == ["ci"]


def test_without_its_token_file_the_hook_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGED_TOKENS", str(tmp_path / "missing"))
    with pytest.raises(HookLoadError, match="No such file"):
        example("bearer_token")


def html(request: Upstream) -> Response:
    body = b"<a href='http://old.example.com/x'>" * 3
    kind = "text/plain" if request.target == "/plain" else "text/html; charset=utf-8"
    return Response(200, body, {"Content-Type": kind, "ETag": '"1"'})


def test_links_in_html_are_rewritten_and_other_answers_keep_their_length() -> None:
    rig = Rig(example("response_rewrite"), peers={"127.0.0.1:9000": html})
    changed = rig.get("http://example.com/")
    plain = rig.get("http://example.com/plain")
    assert changed.body == b"<a href='https://new.example.com/x'>" * 3
    assert "etag" not in changed.headers
    assert plain.body.count(b"old.example.com") == 3
    assert plain.headers["content-length"] == str(len(plain.body))


def test_a_link_that_is_cut_in_two_is_rewritten_too() -> None:
    hook = example("response_rewrite")
    rig = Rig(hook)
    seen: list[bytes] = []

    class Cutter(Hook):
        def response_filter(self, exchange):
            exchange.response.headers.set("Content-Type", "text/html")

        def response_body_filter(self, exchange, data, end):
            exchange.ctx.held = b""
            text = b"see http://old.example.com/x and http://old"
            for index in range(len(text)):
                seen.append(hook.response_body_filter(exchange, text[index : index + 1], False))
            seen.append(hook.response_body_filter(exchange, b"", True))
            return b""

    Rig(Cutter()).get("http://example.com/")
    assert b"".join(seen) == b"see https://new.example.com/x and http://old"
    del rig


def test_bodies_are_mirrored_without_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGED_MIRROR", str(tmp_path / "mirror"))
    rig = Rig(example("mirror_log"))
    answer = rig.request(
        "POST", "http://example.com/form?a=1", {"Authorization": "Basic x"}, b"b" * 5000
    )
    (line,) = (tmp_path / "mirror").read_text().splitlines()
    kept = json.loads(line)
    assert answer.upstream is not None
    assert len(answer.upstream.body) == 5000
    assert len(kept["body"]) == 2048
    assert kept["status"] == 200
    assert "authorization" not in {name.lower() for name in kept["headers"]}


def test_a_mirror_that_cannot_be_written_costs_no_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGED_MIRROR", str(tmp_path / "no" / "such" / "folder"))
    answer = Rig(example("mirror_log")).request("POST", "http://example.com/", body=b"x")
    assert answer.status == 200


def test_the_tenant_comes_from_the_host_and_from_nobody_else() -> None:
    rig = Rig(example("tenant_header"))
    answer = rig.get("http://acme.example.com/", {"X-Tenant": "other"})
    assert answer.upstream is not None
    assert answer.upstream.headers.get_all("x-tenant") == ["acme"]
    assert answer.headers["vary"] == "Host"
    assert rig.get("http://example.com/").status == 404
    assert rig.get("http://a.b.example.com/").status == 404


def test_every_example_is_tested_here() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    text = Path(__file__).read_text()
    assert all(f'"{name}"' in text for name in names)
    assert importlib.util.find_spec("edge.testing") is not None
