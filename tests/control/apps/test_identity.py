"""Which app a folder is of."""

from pathlib import Path

import pytest

from control.apps.identity import identity
from control.refusal import Refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name =", "bad TOML"),
        ("name = 3", 'write name = "…"'),
        ("a = " + "[" * 5000, "bad TOML"),
        ("[" + "a." * 5000 + "a]", "bad TOML"),
    ],
    ids=["half a line", "a number", "too many brackets", "a table far below"],
)
def test_a_file_that_is_no_good_is_refused_with_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "edge.toml").write_text(text, encoding="utf-8")
    with pytest.raises(Refused) as refused:
        identity(str(tmp_path))
    assert str(tmp_path / "edge.toml") in refused.value.message
    assert said in refused.value.message
