"""Apps that are built into a program: Go, Java, and programs that somebody else has built."""

from typing import Final

from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

PROGRAM: Final = ".edged/app"
JAR: Final = ".edged/app.jar"


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
        found=(("start", reason),),
    )


def plan_java(project: Project) -> Detection:
    """A Maven or Gradle project, or a jar that is there."""
    if project.main or not project.has(*_MAVEN, *_GRADLE):
        jar = project.main or next((name for name in project.names() if name[-4:] == ".jar"), "")
        if not jar:
            raise Undetected('there is no pom.xml, build.gradle or *.jar here: write main = "…jar"')
        return _java(jar, (), f"found {jar}")
    maven = project.has(*_MAVEN)
    wrapper = "mvnw" if maven else "gradlew"
    why = f"found {project.first(*_MAVEN, *_GRADLE)}"
    tool = f"./{wrapper}" if project.is_program(wrapper) else ""
    tool = tool or project.need_tool("mvn" if maven else "gradle", why=why)
    argv = (tool, "-B", "-DskipTests", "package") if maven else (tool, "--no-daemon", "assemble")
    folder = "target" if maven else "build/libs"
    steps = (
        Step(argv=argv, reason=why),
        Step(argv=("sh", "-c", _TAKE_JAR.format(folder)), reason="takes the jar that was built"),
    )
    return _java(JAR, steps, f"{why}: the largest jar in {folder}")


def plan_binary(project: Project) -> Detection:
    """A program that was built elsewhere."""
    if project.has_start:
        return Detection(runtime="binary")
    named = (project.main,) if project.main else (project.name, f"bin/{project.name}")
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

_MAVEN: Final = ("pom.xml",)
_GRADLE: Final = ("build.gradle", "build.gradle.kts")

_TAKE_JAR: Final = (
    "mkdir -p .edged && jar=$(ls -S {0}/*.jar | grep -Ev -- '(-plain|-sources|-javadoc)\\.jar$'"
    ' | head -n 1) && cp "$jar" .edged/app.jar'
)
_PLACES: Final = (
    "-Dserver.address=$HOST", "-Dserver.port=$PORT",  # Spring Boot
    "-Dquarkus.http.host=$HOST", "-Dquarkus.http.port=$PORT",
    "-Dmicronaut.server.host=$HOST", "-Dmicronaut.server.port=$PORT",
)  # fmt: skip


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


def _java(jar: str, steps: tuple[Step, ...], reason: str) -> Detection:
    return Detection(
        runtime="java",
        build=steps,
        start=("java", *_PLACES, "-jar", jar),
        found=(("start", reason),),
    )
