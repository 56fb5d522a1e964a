"""The fake machine and this machine answer the same questions."""

import grp
import os
import pwd

from control.config.machine import Machine, ThisMachine
from tests.control.config.fake_machine import FakeMachine


def test_this_machine_knows_itself(tmp_path) -> None:
    machine: Machine = ThisMachine.look()
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.has_user(machine.user) or machine.user.isdigit()
    assert machine.in_group(grp.getgrgid(os.getegid()).gr_name)
    assert machine.has_user(pwd.getpwuid(0).pw_name)
    assert not machine.has_user("no such user")
    assert not machine.has_group("no such group")
    assert not machine.in_group("no such group")
    assert machine.is_folder(str(tmp_path))
    assert not machine.is_file(str(tmp_path))
    assert isinstance(machine.may_bind_80, bool)
    assert isinstance(machine.has_ipv6, bool)


def test_the_fake_has_every_question() -> None:
    fake: Machine = FakeMachine()
    questions = [name for name in vars(Machine) if not name.startswith("_")]
    assert questions
    assert all(hasattr(fake, name) and hasattr(ThisMachine, name) for name in questions)
