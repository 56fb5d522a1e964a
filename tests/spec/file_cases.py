"""Static files as data: what is there, what is asked for, and what RFC 9110 says must come."""

import gzip
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final

MODIFIED: Final = 1_700_000_000
DATE: Final = formatdate(MODIFIED, usegmt=True)
EARLIER: Final = formatdate(MODIFIED - 60, usegmt=True)
LATER: Final = formatdate(MODIFIED + 60, usegmt=True)
LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"

FILES: Final[dict[str, bytes]] = {
    "index.html": b"<h1>home</h1>",
    "letters.txt": LETTERS,
    "empty.txt": b"",
    "app.3f2a9c1b.js": b"let a",
    "app.js": b"let a",
    "app.js.gz": gzip.compress(b"let a", mtime=0),
    "app.js.br": b"(br)",
    "photo.png": b"\x89PNG",
    "noext": b"?",
    "data.json": b"{}",
    "archive.tar.gz": b"\x1f\x8b",
    "[...slug].js": b"slug",
    "a..b": b"dots",
    "a b.txt": b"space",
    "caf\u00e9.txt": b"utf-8",
    "per%20cent.txt": b"escape",
    "docs/index.html": b"docs",
    "docs/deep/page.html": b"page",
    "bare/page.html": b"page",
    ".env": b"SECRET",
    ".git/config": b"SECRET",
    ".well-known/security.txt": b"Contact",
    "docs/.hidden": b"SECRET",
}


@dataclass
class Case:
    """A request, and what must come of it. None in `fields` is a field that must not be there."""

    rule: str
    target: str = "/letters.txt"
    send: dict[str, str] = field(default_factory=dict)
    status: int = 200
    body: bytes | None = None
    fields: dict[str, str | None] = field(default_factory=dict)
    method: str = "GET"
    host: str = "files.test"


def served(name: str, target: str, body: bytes, **fields: Any) -> Case:
    named = {key.replace("_", "-"): value for key, value in fields.items()}
    return Case(name, target, body=body, fields=named)


def ranged(name: str, wanted: str, status: int, body: bytes, shown: str | None) -> Case:
    return Case(name, send={"Range": wanted}, status=status, body=body,
                fields={"Content-Range": shown})  # fmt: skip


def condition(name: str, status: int, **send: str) -> Case:
    fields = {key.replace("_", "-"): value for key, value in send.items()}
    return Case(name, send=fields, status=status, body=LETTERS if status == 200 else b"")


WHOLE = LETTERS
CASES: Final = [
    # Names and types
    served("§8.3 a page", "/", FILES["index.html"], Content_Type="text/html; charset=utf-8"),
    served("§8.3 text", "/letters.txt", WHOLE, Content_Type="text/plain; charset=utf-8"),
    served("§8.3 script", "/app.js", b"let a", Content_Type="text/javascript; charset=utf-8"),
    served("§8.3 picture", "/photo.png", b"\x89PNG", Content_Type="image/png"),
    served("§8.3 JSON", "/data.json", b"{}", Content_Type="application/json; charset=utf-8"),
    served("§8.3 unknown", "/noext", b"?", Content_Type="application/octet-stream"),
    served("§8.4 an archive is no coding", "/archive.tar.gz", b"\x1f\x8b",
           Content_Type="application/gzip", Content_Encoding=None),
    served("§8.6 nothing in it", "/empty.txt", b"", Content_Length="0"),
    served("§8.8.2 Last-Modified", "/letters.txt", WHOLE, Last_Modified=DATE),
    served("§14.3 ranges are offered", "/letters.txt", WHOLE, Accept_Ranges="bytes"),
    served("§8.3 types are not guessed", "/letters.txt", WHOLE, X_Content_Type_Options="nosniff"),
    served("§4.2.3 brackets", "/[...slug].js", b"slug"),
    served("§4.2.3 brackets, escaped", "/%5B...slug%5D.js", b"slug"),
    served("§4.2.3 two dots in a name", "/a..b", b"dots"),
    served("§4.2.3 a space", "/a%20b.txt", b"space"),
    served("§4.2.3 UTF-8", "/caf%C3%A9.txt", b"utf-8"),
    served("§4.2.3 a percent sign", "/per%2520cent.txt", b"escape"),
    served("§4.2.3 dot segments", "/docs/../letters.txt", WHOLE),
    served("§4.2.3 doubled slashes", "//docs//deep//page.html", b"page"),
    served("§4.1 a query is none of its name", "/letters.txt?v=1", WHOLE),
    served("§4.1 a folder's page", "/docs/", b"docs"),
    served("§4.1 below a prefix", "/assets/docs/deep/page.html", b"page", Cache_Control="no-cache"),
    served("§4.1 the prefix itself", "/assets/", FILES["index.html"]),
    served("§8.8 well-known names", "/.well-known/security.txt", b"Contact"),
    Case("§15.4.9 a folder has a slash", "/docs", status=308, fields={"Location": "/docs/"}),
    Case("§15.4.9 and keeps its query", "/docs?a=b", status=308, fields={"Location": "/docs/?a=b"}),
    Case("§15.4.9 and its host", "//docs", status=308, fields={"Location": "/docs/"}),
    Case("§15.5.5 no page, no listing", "/bare/", status=404),
    Case("§15.5.5 nothing there", "/nothing", status=404, fields={"X-Edge-Error": "no-file"}),
    Case("§15.5.5 a file is no folder", "/letters.txt/", status=404),
    Case("§15.5.5 a file has nothing in it", "/letters.txt/x", status=404),
    Case("§15.5.5 case counts", "/LETTERS.TXT", status=404),
    Case("§17.3 hidden file", "/.env", status=404),
    Case("§17.3 hidden folder", "/.git/config", status=404),
    Case("§17.3 hidden below", "/docs/.hidden", status=404),
    Case("§17.3 hidden, escaped", "/%2eenv", status=404),
    Case("§17.3 above the root", "/../edged.toml", status=400),
    Case("§17.3 above the root, escaped", "/%2e%2e/edged.toml", status=400),
    Case("§17.3 above the root by a slash", "/docs%2f..%2f..%2fedged.toml", status=400),
    Case("§17.3 a link to a file outside", "/link.txt", status=404),
    Case("§17.3 a link to a folder outside", "/etc/passwd", status=404),
    Case("§17.3 a pipe", "/pipe", status=404),
    Case("§17.3 a socket", "/socket", status=404),
    Case("§17.3 a name that is too long", "/" + "x" * 300, status=404),
    # Methods
    Case("§9.3.2 HEAD", method="HEAD", body=b"", fields={"Content-Length": "26"}),
    Case("§15.5.6 POST", method="POST", status=405, fields={"Allow": "GET, HEAD"}),
    Case("§15.5.6 DELETE", method="DELETE", status=405, fields={"Allow": "GET, HEAD"}),
    # Freshness
    Case("§5.2 hashed names never change", "/app.3f2a9c1b.js",
         fields={"Cache-Control": "public, max-age=31536000, immutable"}),
    Case("§5.2 others say nothing", fields={"Cache-Control": None}),
    # Codings
    Case("§12.5.3 gzip", "/app.js", {"Accept-Encoding": "gzip"}, body=FILES["app.js.gz"],
         fields={"Content-Encoding": "gzip", "Vary": "Accept-Encoding",
                 "Content-Type": "text/javascript; charset=utf-8"}),
    Case("§12.5.3 the better one", "/app.js", {"Accept-Encoding": "gzip, deflate, br"},
         body=b"(br)", fields={"Content-Encoding": "br"}),
    Case("§12.4.2 by weight", "/app.js", {"Accept-Encoding": "br;q=0.1, gzip;q=0.9"},
         body=FILES["app.js.gz"]),
    Case("§12.4.2 weight of nothing", "/app.js", {"Accept-Encoding": "gzip;q=0, br;q=0.0"},
         body=b"let a", fields={"Content-Encoding": None}),
    Case("§12.5.3 anything", "/app.js", {"Accept-Encoding": "*"}, body=b"(br)"),
    Case("§12.5.3 rather as it is", "/app.js", {"Accept-Encoding": "identity, gzip;q=0.5"},
         body=b"let a"),
    Case("§12.5.3 none asked for", "/app.js", body=b"let a", fields={"Content-Encoding": None}),
    Case("§12.5.3 nothing there", "/letters.txt", {"Accept-Encoding": "br"}, body=WHOLE),
    Case("§12.5.3 garbage", "/app.js", {"Accept-Encoding": ";;,q=,gzip;q=2,\"br"}, body=b"let a"),
    Case("§12.5.3 too much", "/app.js", {"Accept-Encoding": "gzip," * 2000}, body=b"let a"),
    Case("§12.5.3 switched off", "/assets/app.js", {"Accept-Encoding": "gzip"}, body=b"let a"),
    # Ranges
    ranged("§14.2 first bytes", "bytes=0-4", 206, b"abcde", "bytes 0-4/26"),
    ranged("§14.2 from a byte", "bytes=20-", 206, b"uvwxyz", "bytes 20-25/26"),
    ranged("§14.2 last bytes", "bytes=-3", 206, b"xyz", "bytes 23-25/26"),
    ranged("§14.2 one byte", "bytes=0-0", 206, b"a", "bytes 0-0/26"),
    ranged("§14.1.2 past the end", "bytes=24-99", 206, b"yz", "bytes 24-25/26"),
    ranged("§14.1.2 more than there is", "bytes=-99", 206, WHOLE, "bytes 0-25/26"),
    ranged("§14.2 unit in capitals", "Bytes=1-2", 206, b"bc", "bytes 1-2/26"),
    ranged("§15.5.17 nothing of it", "bytes=26-", 416, b"", "bytes */26"),
    ranged("§15.5.17 the last none", "bytes=-0", 416, b"", "bytes */26"),
    ranged("§14.2 another unit", "lines=0-4", 200, WHOLE, None),
    ranged("§14.2 the wrong way round", "bytes=5-2", 200, WHOLE, None),
    ranged("§14.2 not a number", "bytes=a-b", 200, WHOLE, None),
    ranged("§14.2 nothing", "bytes=", 200, WHOLE, None),
    ranged("§14.2 too long a number", "bytes=0-9999999999999999999999", 200, WHOLE, None),
    ranged("§14.2 too many", "bytes=" + ",".join(f"{n}-{n}" for n in range(26)), 200, WHOLE, None),
    ranged("§17.15 the same again and again", "bytes=" + ",".join(["0-"] * 16), 206, WHOLE,
           "bytes 0-25/26"),
    ranged("§17.15 overlapping ones are one", "bytes=0-9,5-14", 206, b"abcdefghijklmno",
           "bytes 0-14/26"),
    Case("§14.2 not for HEAD", send={"Range": "bytes=0-4"}, method="HEAD", body=b"",
         fields={"Content-Length": "26"}),
    Case("§14.2 of an empty file", "/empty.txt", {"Range": "bytes=0-"}, status=416),
    # Preconditions
    condition("§13.1.2 seen", 304, If_None_Match="ETAG"),
    condition("§13.1.2 seen, weakly", 304, If_None_Match="W/ETAG"),
    condition("§13.1.2 seen among others", 304, If_None_Match='"a", ETAG, "b"'),
    condition("§13.1.2 anything", 304, If_None_Match="*"),
    condition("§13.1.2 not seen", 200, If_None_Match='"other"'),
    condition("§13.1.2 not even a tag", 200, If_None_Match="garbage"),
    condition("§13.1.3 not modified", 304, If_Modified_Since=DATE),
    condition("§13.1.3 not modified later", 304, If_Modified_Since=LATER),
    condition("§13.1.3 modified", 200, If_Modified_Since=EARLIER),
    condition("§5.6.7 not a date", 200, If_Modified_Since="yesterday"),
    condition("§5.6.7 hostile date", 200, If_Modified_Since="9" * 5000),
    condition("§13.2.2 tags before dates", 200, If_None_Match='"x"', If_Modified_Since=LATER),
    condition("§13.1.1 the one", 200, If_Match="ETAG"),
    condition("§13.1.1 any", 200, If_Match="*"),
    condition("§13.1.1 another", 412, If_Match='"other"'),
    condition("§13.1.1 not weakly", 412, If_Match="W/ETAG"),
    condition("§13.1.4 unmodified", 200, If_Unmodified_Since=DATE),
    condition("§13.1.4 modified", 412, If_Unmodified_Since=EARLIER),
    condition("§13.2.2 If-Match before dates", 200, If_Match="ETAG", If_Unmodified_Since=EARLIER),
    condition("§13.2.2 If-Match first", 412, If_Match='"x"', If_None_Match="ETAG"),
    Case("§13.1.5 If-Range holds", send={"If-Range": "ETAG", "Range": "bytes=0-0"}, status=206,
         body=b"a"),
    Case("§13.1.5 If-Range of another", send={"If-Range": '"x"', "Range": "bytes=0-0"}, body=WHOLE),
    Case("§13.1.5 If-Range, weak", send={"If-Range": "W/ETAG", "Range": "bytes=0-0"}, body=WHOLE),
    Case("§13.1.5 If-Range by date", send={"If-Range": DATE, "Range": "bytes=0-0"}, status=206,
         body=b"a"),
    Case("§13.1.5 If-Range by later date", send={"If-Range": LATER, "Range": "bytes=0-0"},
         body=WHOLE),
    Case("§13.2.2 seen, whatever range", send={"If-None-Match": "ETAG", "Range": "bytes=0-0"},
         status=304),
    # One page for all
    Case("§15.3.1 the fallback", "/some/view", {"Accept": "text/html"}, host="spa.test",
         body=FILES["index.html"]),
    Case("§15.3.1 a file comes first", "/letters.txt", host="spa.test", body=WHOLE),
    Case("§12.5.1 not for what is no page", "/api/x", {"Accept": "application/json"},
         host="spa.test", status=404),
    Case("§17.3 hidden in spite of it", "/.env", {"Accept": "application/json"}, host="spa.test",
         status=404),
]  # fmt: skip
