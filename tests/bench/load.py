"""Load by wrk: one bounded run against one server, and what came of it."""

import re
import subprocess
from pathlib import Path
from typing import Final

from tests.bench.cores import Cores

BROWSER: Final = """
local count = 0
local fields = {
  ["Connection"] = "keep-alive", ["Cache-Control"] = "max-age=0",
  ["Upgrade-Insecure-Requests"] = "1", ["Sec-Fetch-Site"] = "none",
  ["Sec-Fetch-Mode"] = "navigate", ["Sec-Fetch-User"] = "?1", ["Sec-Fetch-Dest"] = "document",
  ["Sec-Ch-Ua"] = '"Chromium";v="126", "Not A(Brand";v="24", "Google Chrome";v="126"',
  ["Sec-Ch-Ua-Mobile"] = "?0", ["Sec-Ch-Ua-Platform"] = '"Linux"',
  ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    .. "Chrome/126.0.0.0 Safari/537.36",
  ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
  ["Accept-Encoding"] = "gzip, deflate, br, zstd", ["Accept-Language"] = "en-US,en;q=0.9",
}
request = function()
  count = count + 1
  fields["Cookie"] = "session=0123456789abcdef" .. count .. "; theme=dark"
  return wrk.format("GET", "/search?q=hello&page=" .. count % 100, fields)
end
"""
"""A head as a browser sends it, no two the same."""


class LoadFailed(Exception):
    """The run had errors: its number means nothing."""


def run(
    address: str,
    cores: Cores,
    folder: Path,
    *,
    path: str = "/",
    browser: bool = False,
    close: bool = False,
    host: str = "",
    connections: int = 64,
    seconds: int = 3,
    secure: bool = False,
) -> float:
    """Requests per second. Raises `LoadFailed`."""
    script = folder / "browser.lua"
    script.write_text(BROWSER)
    on = ",".join(map(str, cores.load))
    command = ["taskset", "-c", on, "wrk", f"-t{len(cores.load)}", f"-c{connections}"]
    command += [f"-d{seconds}s", "--timeout", "10s"]
    if browser:
        command += ["-s", str(script)]
    if close:
        command += ["-H", "Connection: close"]
    if host:
        command += ["-H", f"Host: {host}"]
    command.append(f"{'https' if secure else 'http'}://{address}{path}")
    out = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 60, check=True
    ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors:.*", out)
    # wrk counts the end of a connection that it asked to be closed as a read error.
    if found is None or (bad and not (close and re.search(r"connect 0, .*timeout 0", bad[0]))):
        raise LoadFailed(f"{address}{path}: {bad[0] if bad else out}")
    return float(found[1])
