"""An app's log as a whole: whatever is printed, at whatever speed, on whatever disk."""

import itertools
import os
import subprocess
from pathlib import Path

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.apps.applog import HOLD_S, AppLog
from control.apps.flood import BURST_S, Gate
from control.apps.logfiles import LogFiles
from control.apps.logline import PIECE_BYTES, Line, Stream

OUT, ERR, EDGED = Stream.STDOUT, Stream.STDERR, Stream.EDGED


def log_in(folder: Path, **options: object) -> AppLog:
    return AppLog(LogFiles(str(folder)), **options)


def shown(lines: list[Line]) -> list[tuple[str, str, str]]:
    return [(line.stream.value, line.instance, line.text) for line in lines]


def joined(lines: list[Line]) -> list[str]:
    """The texts, each in one piece again."""
    texts, open_ = [], ""
    for line in lines:
        open_ += line.text
        if not line.goes_on:
            texts.append(open_)
            open_ = ""
    return [*texts, open_] if open_ else texts


def test_what_is_printed_is_there_after_a_restart(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.feed("1", OUT, b"one\ntwo\n")
    log.feed("2", ERR, "zwölf\r\n".encode())
    log.say("instance 2 exited with status 1", "2")
    again = log_in(tmp_path)
    wanted = [
        ("stdout", "1", "one"),
        ("stdout", "1", "two"),
        ("stderr", "2", "zwölf\r"),
        ("edged", "2", "instance 2 exited with status 1"),
    ]
    assert shown(again.tail(10)) == wanted
    assert shown(again.tail(2)) == wanted[2:]
    assert shown(again.tail(10, "1")) == wanted[:2]
    assert again.tail(0) == []
    assert len({line.time for line in again.tail(2)}) <= 2
    assert abs(again.tail(1)[0].time - os.stat(tmp_path / "00000001.log").st_mtime) < 5


def test_lines_come_whole_out_of_any_pieces_and_streams_do_not_mix(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.feed("1", OUT, b"begin")
    log.feed("1", ERR, b"error\n")
    log.feed("2", OUT, b"other ")
    log.feed("1", OUT, b"ning\nnext\nwithout end")
    log.end("1")
    log.feed("2", OUT, b"end\n")
    assert shown(log.tail(10)) == [
        ("stderr", "1", "error"),
        ("stdout", "1", "beginning"),
        ("stdout", "1", "next"),
        ("stdout", "1", "without end"),
        ("stdout", "2", "other end"),
    ]
    log.close()


@given(
    output=st.lists(
        st.sampled_from([b"\n", b"a", b"\xc3\xa4", b"\xff", b"\r", b"x" * 9000]), max_size=20
    ),
    cuts=st.lists(st.integers(0, 60_000), max_size=6),
)
def test_no_cut_of_the_output_changes_its_text(
    output: list[bytes], cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = b"".join(output)
    folder = tmp_path_factory.mktemp("log")
    log = log_in(folder)
    places = sorted({0, len(whole), *(place for place in cuts if place < len(whole))})
    for start, end in itertools.pairwise(places):
        log.feed("1", OUT, whole[start:end])
    log.end("1")
    found = log.tail(100)
    assert joined(found) == whole.decode(errors="replace").removesuffix("\n").split("\n") * bool(
        whole
    )
    assert all(len(line.text.encode()) <= 3 * PIECE_BYTES for line in found)
    assert all(path.read_bytes().decode() for path in folder.iterdir())
    log.close()


def test_a_line_without_end_is_cut_and_held_by_nobody(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    for _ in range(50):
        log.feed("1", OUT, b"x" * 10_000)
    log.feed("1", OUT, b"\nshort\n")
    found = log.tail(100)
    assert joined(found) == ["x" * 500_000, "short"]
    assert max(len(line.text) for line in found) <= PIECE_BYTES
    log.close()


def test_a_prompt_is_shown_though_its_line_has_no_end(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    lines = log.follow(idle_s=HOLD_S * 20)
    first = gevent.spawn(next, lines)
    gevent.sleep(0)
    log.feed("1", OUT, b"password: ")
    line = first.get(timeout=HOLD_S * 20)
    assert (line.text, line.goes_on) == ("password: ", True)
    log.feed("1", OUT, b"ok\n")
    assert joined(log.tail(5)) == ["password: ok"]
    log.close()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_is_sampled_and_its_loss_is_told(tmp_path: Path) -> None:
    clock = Clock()
    log = log_in(tmp_path, gate=Gate(lines_s=100, bytes_s=1e9), clock=clock)
    count = 0
    for _ in range(100):
        log.feed("1", OUT, b"".join(b"%d\n" % number for number in range(count, count + 50)))
        count += 50
        clock.now += 0.1
    clock.now += 1
    log.settle()
    found = log.tail(10_000)
    kept = [int(line.text) for line in found if line.stream is OUT]
    notes = [line.text for line in found if line.stream is EDGED]
    told = sum(int(text.split(" ")[0].replace(",", "")) for text in notes)
    assert kept == sorted(kept)
    assert len(kept) + told == count
    assert 100 * BURST_S <= len(kept) <= 100 * (BURST_S + 10)
    assert kept[-1] > count * 0.95, "the flood is sampled to its end"
    assert 5 <= len(notes) <= 12
    assert "dropped: more than 100 lines or 1,000,000,000 bytes a second" in notes[0]
    log.close()


def test_the_end_of_a_flood_is_told_without_another_line(tmp_path: Path) -> None:
    log = log_in(tmp_path, gate=Gate(lines_s=1, bytes_s=1e9))
    lines = log.follow(idle_s=10)
    waiting = gevent.spawn(lambda: [next(lines) for _ in range(6)])
    gevent.sleep(0)
    log.feed("1", OUT, b"1\n2\n3\n4\n5\n")
    log.feed("1", OUT, b"6\n7\n")
    texts = [line.text for line in waiting.get(timeout=10)]
    assert texts[:4] == ["1", "2", "3", "4"]
    assert [text.split(" ")[0] for text in texts[4:]] == ["1", "2"]
    log.close()


def test_a_flood_without_newlines_is_bounded_too(tmp_path: Path) -> None:
    log = log_in(tmp_path, gate=Gate(lines_s=1e9, bytes_s=100_000), clock=Clock())
    for _ in range(100):
        log.feed("1", OUT, b"x" * 65_536)
    log.settle()
    found = log.tail(10_000)
    assert sum(len(line.text) for line in found if line.stream is OUT) < 100_000 * (BURST_S + 1)
    assert any("were dropped" in line.text for line in found)
    log.close()


def test_a_disk_that_takes_nothing_costs_lines_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    log = log_in(tmp_path / "log")
    lines = log.follow(idle_s=5)
    live = gevent.spawn(lambda: [next(lines) for _ in range(3)])
    gevent.sleep(0)
    for _ in range(3):
        log.feed("1", OUT, b"lost\n")
    assert [line.text for line in live.get(timeout=5)] == ["lost"] * 3
    assert [record.message.endswith("lines are lost") for record in caplog.records] == [True]
    assert "broken" in repr(log)
    assert log.tail(5) == []
    (tmp_path / "log").unlink()
    log.feed("1", OUT, b"back\n")
    assert [line.text.partition(":")[0] for line in log.tail(5)] == [
        "back",
        "up to 3 lines before these were lost",
    ]
    assert (log.broken, len(caplog.records)) == ("", 1)
    log.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_breaks_nothing(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        (tmp_path / "ballast").write_bytes(bytes(30_000))
        log = log_in(tmp_path / "log")
        for number in range(100):
            log.feed("1", OUT, b"%d " % number + b"x" * 1000 + b"\n")
        assert log.broken == "No space left on device"
        (tmp_path / "ballast").unlink()
        log.feed("1", OUT, b"back\n")
        *before, back, note = log.tail(100)
        assert (back.text, "lines before these were lost" in note.text) == ("back", True)
        assert [line.text.split(" ")[0] for line in before] == [str(n) for n in range(len(before))]
        log.close()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_who_follows_gets_the_last_lines_and_then_each_without_a_gap(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.feed("1", OUT, b"old\n1\n2\n")
    lines = log.follow(idle_s=5, history=2)
    assert next(lines).text == "1"
    log.feed("1", OUT, b"3\n4\n")
    assert [next(lines).text for _ in range(3)] == ["2", "3", "4"]
    only = log.follow(idle_s=5, history=1, instance="2")
    log.feed("2", OUT, b"mine\n")
    assert next(only).text == "mine"
    log.feed("1", OUT, b"not mine\n")
    log.feed("2", OUT, b"mine too\n")
    log.say("of all")
    assert [next(only).text for _ in range(2)] == ["mine too", "of all"]
    assert repr(log) == f"<AppLog well {tmp_path} followers=2>"
    log.close()
    assert [line.text for line in lines] == ["mine", "not mine", "mine too", "of all"]
    assert list(only) == []
    assert repr(log) == f"<AppLog well {tmp_path} followers=0>"


def test_a_slow_follower_holds_nobody_up_and_hears_what_it_missed(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    slow = log.follow(idle_s=5)
    quick = log.follow(idle_s=5)
    begun = [gevent.spawn(next, slow), gevent.spawn(next, quick)]
    gevent.sleep(0)
    log.feed("1", OUT, b"0\n")
    gevent.joinall(begun, timeout=5)
    seen = []
    for start in range(1, 3001, 100):
        log.feed("1", OUT, b"".join(b"%d\n" % number for number in range(start, start + 100)))
        seen += [next(quick).text for _ in range(100)]
    assert seen == [str(number) for number in range(1, 3001)]
    log.close()
    *texts, last = [line.text for line in slow]
    assert texts == [str(number) for number in range(1, 1001)]
    assert last.startswith("2,000 lines were missed")


def test_a_log_that_settles_holds_no_file_and_goes_on(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.feed("1", OUT, b"held")
    assert log.tail(1) == []
    log.settle()
    held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    assert not [path for path in held if path.startswith(str(tmp_path))]
    log.feed("1", OUT, b"more\n")
    assert [line.text for line in log.tail(5)] == ["held", "more"]
    log.close()
