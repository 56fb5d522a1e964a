"""The user's hook runs in a process of its own: what it does there harms nobody."""

import sys
from pathlib import Path

import pytest

from control.acme import dns
from control.acme.failure import IssueFailed
from control.acme.spec import DnsHook


def hook_of(folder: Path, text: str, timeout_s: float = 20.0) -> DnsHook:
    path = folder / "hook.py"
    path.write_text(text, encoding="utf-8")
    return DnsHook(file=str(path), timeout_s=timeout_s)


def test_the_record_is_the_digest_under_its_own_name() -> None:
    # RFC 8555, 8.4
    name, value = dns.record_of("example.org", "token.thumb")
    assert name == "_acme-challenge.example.org"
    assert value == "lCdftpJCXapaZHkBGIZbcubeKW8RmA0jSG_aZN01zbU"


def test_a_file_can_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text(f"said = open({str(tmp_path / 'said')!r}, 'w')", "utf-8")
    text = "import beside\ndef present(name, value): print(name, value, file=beside.said)"
    dns.present(hook_of(tmp_path, text), "a.test", "x.y")
    assert (tmp_path / "said").read_text("utf-8").startswith("_acme-challenge.a.test ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no function present"),
        ("import nothing_like_it", "ModuleNotFoundError"),
        ("def present(name, value): raise ValueError('no such zone')", "no such zone"),
        ("def present(name, value):\n import os; os._exit(3)", "ended with 3: it said nothing"),
        ("def present(name, value):\n import os, signal; os.kill(0, signal.SIGKILL)", "-9"),
        ("def present(", "SyntaxError"),
    ],
)
def test_what_a_file_does_wrong_is_quoted(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(IssueFailed, match=said) as caught:
        dns.present(hook_of(tmp_path, text), "a.test", "x.y")
    assert (caught.value.kind, caught.value.elsewhere) == ("dns-hook", False)


def test_a_file_that_hangs_is_ended(tmp_path: Path) -> None:
    text = "import threading\ndef present(name, value): threading.Event().wait()"
    with pytest.raises(IssueFailed, match="took more than 1 s: it was ended"):
        dns.present(hook_of(tmp_path, text, 1.0), "a.test", "x.y")


def test_a_command_gets_verb_name_and_value(tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = f"import sys; open({str(said)!r}, 'w').write(' '.join(sys.argv[1:]))"
    hook = DnsHook(command=(sys.executable, "-c", script))
    dns.cleanup(hook, "a.test", "x.y")
    _, value = dns.record_of("a.test", "x.y")
    assert said.read_text("utf-8") == f"cleanup _acme-challenge.a.test {value}"


def test_a_command_that_is_not_there_says_so() -> None:
    with pytest.raises(IssueFailed, match="No such file"):
        dns.present(DnsHook(command=("/nowhere/dns",)), "a.test", "x.y")
