"""Strangers: nothing in the project is about the machine or the people that made it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

BINARY = {".png", ".ico", ".bin", ".gz", ".pyc"}
FOLDERS = ("edge", "supervisor", "control", "tests", "deploy", ".ci")

OURS = re.compile(
    r"""(?x)
    (?<![\w.])/(?:work|root|workspace|mnt)/\w     # folders of one machine
    | /home/(?!you\b|me\b|user\b)\w+
    | /tmp/(?:plan|bash)\w*
    | (?:extra-)?index-url | trusted-host          # where packages came from
    | \b(?:nexus|artifactory)\b
    | (?:proxy|mirror|registry)\.[\w-]+\.(?:com|net|org|internal)
    """
)

LOCAL = re.compile(
    r"https?://(?!(?:[\w.-]+\.)?(?:example\.(?:com|org|net)|localhost|test|invalid|example|internal)\b)"
    r"([a-z][\w.-]*\.[a-z]{2,})",
    re.I,
)
KNOWN_HOSTS = {
    "www.rfc-editor.org", "www.haproxy.org", "www.w3.org", "datatracker.ietf.org",
    # Directories of public CAs.
    "acme-v02.api.letsencrypt.org", "acme-staging-v02.api.letsencrypt.org", "acme.zerossl.com",
    "dv.acme-v02.api.pki.goog", "dv.acme-v02.test-api.pki.goog",
}  # fmt: skip


def files() -> list[Path]:
    """What git tracks, or in an unpacked archive what is there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return [path for path in found if path.is_file() and path.suffix not in BINARY]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8", errors="replace")
        for path in files()
        if path != Path(__file__)
    }


def test_no_path_of_this_machine_and_no_registry(texts: dict[str, str]) -> None:
    found = [f"{name}: {match[0]}" for name, text in texts.items() for match in OURS.finditer(text)]
    assert found == []


def test_no_host_that_a_reader_does_not_know(texts: dict[str, str]) -> None:
    found = {
        f"{name}: {match[1]}"
        for name, text in texts.items()
        for match in LOCAL.finditer(text)
        if match[1].lower() not in KNOWN_HOSTS
    }
    assert found == set()


def test_every_page_that_is_named_exists(texts: dict[str, str]) -> None:
    stems = {Path(name).name for name in texts if name.endswith(".md")}
    missing = {
        f"{name}: {match}"
        for name, text in texts.items()
        for match in re.findall(r"\b([A-Z]{4,}\.md)\b", text)
        if match not in stems
    }
    assert missing == set()
