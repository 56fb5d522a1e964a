"""Commands by the clock: a fake clock, real processes."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

from control.apps.app import App
from control.apps.crons import Crons
from control.apps.jobs import Jobs
from control.instances.procfs import stat_of
from control.manifest.spec import CronSpec
from tests.support.app_bench import AppBench
from tests.support.programs import until


class Clock:
    def __init__(self, text: str) -> None:
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now

    def to(self, text: str) -> None:
        self.now = Clock(text).now


def cron(script: str, schedule: str = "* * * * *", **more: float) -> CronSpec:
    return CronSpec(name="tick", schedule=schedule, argv=("/bin/sh", "-c", script), **more)


def texts(app: App) -> list[str]:
    return [line.text for line in app.log.tail(100)]


def test_a_command_runs_when_it_is_due_and_at_no_other_time(apps: AppBench) -> None:
    app = apps.app(crons=(cron("echo ran in $PWD", "30 4 * * *"),))
    clock = Clock("2030-01-01 04:28:59")
    crons = Crons(lambda: [app], clock)
    for minute in ("04:29:01", "04:29:59", "04:30:00", "04:30:30", "04:31:00"):
        clock.to(f"2030-01-01 {minute}")
        crons.look()
    until(lambda: apps.told("cron-done"))
    folder = apps.tools.home(app.record).release(1)
    assert [text for text in texts(app) if text.startswith("ran")] == [f"ran in {folder}"]
    assert len(apps.told()) == 1
    assert "blog/production: cron tick is done" in apps.told()[0]


def test_a_run_that_is_due_while_the_last_one_runs_is_skipped(apps: AppBench) -> None:
    app = apps.app(crons=(cron("echo begun; read line < fifo; echo over"),))
    fifo = Path(apps.tools.home(app.record).release(1), "fifo")
    os.mkfifo(fifo)
    clock = Clock("2030-01-01 00:00:00")
    crons = Crons(lambda: [app], clock)
    for minute in (1, 2):
        clock.to(f"2030-01-01 00:0{minute}:00")
        crons.look()
    assert apps.told("cron-skipped") == [
        "blog/production: cron tick was due, and skipped: it still runs"
    ]
    until(lambda: "begun" in texts(app))
    fd = os.open(fifo, os.O_WRONLY)
    os.write(fd, b"go\n")
    os.close(fd)
    until(lambda: apps.told("cron-done"))
    assert texts(app).count("begun") == 1


def test_a_command_that_fails_says_how(apps: AppBench) -> None:
    app = apps.app(crons=(cron("echo wrong >&2; exit 3"),))
    app.jobs.begin(app.record.releases[0], app.record.releases[0].spec.crons[0])
    until(lambda: apps.told("cron-failed"))
    assert apps.told() == ["blog/production: cron tick exited with code 3"]
    assert "wrong" in texts(app)


def test_a_command_that_does_not_exist_says_so_and_runs_at_the_next_time(apps: AppBench) -> None:
    missing = CronSpec(name="tick", schedule="@hourly", argv=("no-such-program",))
    app = apps.app(crons=(missing,))
    for _ in range(2):
        app.jobs.begin(app.record.releases[0], missing)
        until(lambda: not app.jobs.running() and apps.told("cron-failed"))
    assert apps.told("cron-skipped") == []
    assert "no-such-program" in apps.told("cron-failed")[0]


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_forked(apps: AppBench) -> None:
    app = apps.app(crons=(cron("sleep 600 & echo $!; wait", timeout_s=0.5),))
    app.jobs.begin(app.record.releases[0], app.record.releases[0].spec.crons[0])
    until(lambda: apps.told("cron-failed"))
    assert "took longer than its timeout" in apps.told()[0]
    assert not is_alive(int(texts(app)[0]))


def test_a_stopped_app_runs_nothing_and_what_runs_ends(apps: AppBench) -> None:
    app = apps.app(crons=(cron("echo $$; exec sleep 600"),))
    clock = Clock("2030-01-01 00:00:00")
    crons = Crons(lambda: [app], clock)
    clock.to("2030-01-01 00:01:00")
    crons.look()
    until(lambda: texts(app))
    app.stop()
    assert not is_alive(int(texts(app)[0]))
    assert app.jobs.running() == []
    clock.to("2030-01-01 00:02:00")
    crons.look()
    assert app.jobs.running() == []
    assert apps.told("cron-ended") == ["blog/production: cron tick was ended, as its app was"]
    app.start()
    clock.to("2030-01-01 00:03:00")
    crons.look()
    until(app.jobs.running)


def test_the_next_control_takes_up_what_runs_and_ends_it_in_time(apps: AppBench) -> None:
    app = apps.app(crons=(cron("echo $$; exec sleep 600", timeout_s=1.0),))
    app.jobs.begin(app.record.releases[0], app.record.releases[0].spec.crons[0])
    until(lambda: texts(app))
    pid = int(texts(app)[0])
    (running,) = app.jobs.running()
    assert apps.kept[app.record.id].running == [running]

    after = Jobs(app.record, apps.tools, app.log, app.stir)
    after.adopt(running)
    assert after.running() == [running]
    after.begin(app.record.releases[0], app.record.releases[0].spec.crons[0])
    assert len(apps.told("cron-skipped")) == 1
    until(lambda: len(apps.told("cron-failed")) == 2)  # both watched it, here
    assert not is_alive(pid)
    assert after.running() == []


def test_one_that_has_ended_meanwhile_is_told_and_forgotten(apps: AppBench) -> None:
    app = apps.app(crons=(cron("echo $$; exec sleep 600"),))
    app.jobs.begin(app.record.releases[0], app.record.releases[0].spec.crons[0])
    until(lambda: texts(app))
    (running,) = app.jobs.running()
    os.kill(int(texts(app)[0]), signal.SIGKILL)
    until(lambda: apps.told("cron-failed"))
    after = Jobs(app.record, apps.tools, app.log, app.stir)
    after.adopt(running)
    assert after.running() == []
    assert "has ended while nobody watched" in apps.told("cron-ended")[0]


def is_alive(pid: int) -> bool:
    stat = stat_of(pid)
    return stat is not None and stat.is_alive
