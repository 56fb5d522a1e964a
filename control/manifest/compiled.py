"""Apps that are built into a program: Go, and programs that somebody else has built."""

from typing import Final

from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

PROGRAM: Final = ".edged/app"


def plan_go(project: Project) -> Detection:
    """A Go module: its one program, built."""
    package, reason = (project.main, "written in edge.toml") if project.main else _package(project)
    if not project.has_start:
        project.need_tool("go", why="go.mod")
    elif not package:
        return Detection(runtime="go")
    path = package if package.startswith(".") else f"./{package}"
    step = Step(argv=("go", "build", "-o", PROGRAM, path), reason=reason)
    return Detection(
        runtime="go",
        build=(step,),
        start=(f"./{PROGRAM}",),
        vars=(("GOFLAGS", "-modcacherw"),),  # so that the modules can be removed with the app
        found=(("start", reason),),
    )


def recognise_binary(project: Project) -> str:
    """Why a folder is a ready program's; "" when it is not. It has the app's name."""
    name = next((one for one in _named(project) if project.is_program(one)), "")
    return f"found the program {name}" if name else ""


def plan_binary(project: Project) -> Detection:
    """A program that was built elsewhere."""
    if project.has_start:
        return Detection(runtime="binary")
    named = _named(project)
    programs = [name for name in named if project.is_program(name)]
    if not programs and not project.main:
        programs = [name for name in project.names() if project.is_program(name)]
    if not programs:
        looked = " or ".join(named)
        raise Undetected(f"there is no program {looked} that may be run here: is its mode 755?")
    if len(programs) > 1 and programs[0] not in named:
        raise Undetected(f"there are several programs ({', '.join(programs)}): name one as main")
    reason = f"found the program {programs[0]}"
    return Detection(runtime="binary", start=(f"./{programs[0]}",), found=(("start", reason),))


# Private


def _named(project: Project) -> tuple[str, ...]:
    return (project.main,) if project.main else (project.name, f"bin/{project.name}")


def _package(project: Project) -> tuple[str, str]:
    """The folder of the one package main, and the reason."""
    if _is_main(project, ""):
        return ".", "found package main"
    commands = [name for name in project.names("cmd") if _is_main(project, f"cmd/{name}")]
    if project.name in commands or len(commands) == 1:
        name = project.name if project.name in commands else commands[0]
        return f"cmd/{name}", f"found package main in cmd/{name}"
    if project.has_start:
        return "", ""
    if commands:
        listed = ", ".join(f"cmd/{name}" for name in commands)
        raise Undetected(f'there are several programs ({listed}): write main = "cmd/{commands[0]}"')
    raise Undetected('there is no package main at the top or in cmd/: write main = "FOLDER"')


def _is_main(project: Project, folder: str) -> bool:
    files = [name for name in project.names(folder) if name[-3:] == ".go"]
    paths = [f"{folder}/{name}" if folder else name for name in files if name[-8:] != "_test.go"]
    return any(project.lines(path, r"^package[ \t]+main\b") for path in paths)
