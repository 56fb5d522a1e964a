"""Java: a Maven or Gradle project, or a jar that is there, with a heap that fits into its limit."""

import shlex
from typing import Final

from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

JAR: Final = ".edged/app.jar"

HEAP_PERCENT: Final = 70
"""Of the memory limit. The JVM's own choice is a quarter; what it needs besides the heap (classes,
compiled code, stacks) must fit into the rest."""


def recognise_java(project: Project) -> str:
    """Why a folder is Java's; "" when it is not."""
    name = project.first(*_MAVEN, *_GRADLE) or _only_jar(project)
    return f"found {name}" if name else ""


def plan_java(project: Project) -> Detection:
    """Built by Maven or Gradle, their wrappers first, unless there is a jar already."""
    if not project.has_start:
        project.need_tool("java", why="runtime java")
    if project.main or not project.has(*_MAVEN, *_GRADLE):
        jar = project.main or _only_jar(project)
        if not jar and not project.has_start:
            raise Undetected(
                'there is no pom.xml and no build.gradle here, nor one *.jar: write main = "…jar"'
            )
        return _java(project, jar, (), f"found {jar}")
    maven = project.has(*_MAVEN)
    wrapper = "mvnw" if maven else "gradlew"
    why = f"found {project.first(*_MAVEN, *_GRADLE)}"
    tool = f"./{wrapper}" if project.is_program(wrapper) else ""
    tool = tool or project.need_tool("mvn" if maven else "gradle", why=why)
    folder = "target" if maven else "build/libs"
    steps = (
        Step(argv=_at_home(_BUILDS[maven].format(tool)), reason=why),
        Step(argv=("sh", "-c", _TAKE_JAR.format(folder)), reason="takes the jar that was built"),
    )
    return _java(project, JAR, steps, f"{why}: the largest jar in {folder}")


# Private

_MAVEN: Final = ("pom.xml",)
_GRADLE: Final = ("build.gradle", "build.gradle.kts")

_BUILDS: Final = {
    True: 'export MAVEN_OPTS="-Duser.home=$HOME $MAVEN_OPTS"; exec {} -B -DskipTests package',
    False: 'export GRADLE_USER_HOME="$HOME/.gradle"; exec {} --no-daemon assemble',
}
"""By whether it is Maven's."""

_TAKE_JAR: Final = (
    "mkdir -p .edged && jar=$(ls -S {0}/*.jar | grep -Ev -- '(-plain|-sources|-javadoc)\\.jar$'"
    ' | head -n 1) && cp "$jar" .edged/app.jar'
)
_PLACES: Final = (
    "-Dserver.address=$HOST -Dserver.port=$PORT"  # Spring Boot
    " -Dquarkus.http.host=$HOST -Dquarkus.http.port=$PORT"
    " -Dmicronaut.server.host=$HOST -Dmicronaut.server.port=$PORT"
)


def _only_jar(project: Project) -> str:
    jars = [name for name in project.names() if name.endswith(".jar")]
    return jars[0] if len(jars) == 1 else ""


def _at_home(command: str) -> tuple[str, ...]:
    """A command whose JVM finds its home. It asks /etc/passwd, where users of apps are not, and
    not HOME. The shell ends where the command begins, so SIGTERM reaches that."""
    return ("sh", "-c", command)


def _java(project: Project, jar: str, steps: tuple[Step, ...], reason: str) -> Detection:
    limit = ""
    if project.memory_bytes:
        # MaxRAM too: where no cgroup limits it, the JVM would take all of the machine for its own.
        limit = f" -XX:MaxRAM={project.memory_bytes} -XX:MaxRAMPercentage={HEAP_PERCENT}"
    program = shlex.quote(jar) if jar.endswith(".java") else f"-jar {shlex.quote(jar)}"
    command = f'exec java -Duser.home="$HOME" {_PLACES}{limit} $JAVA_OPTS {program}'
    return Detection(
        runtime="java",
        build=steps,
        start=_at_home(command),
        found=(("start", reason),),
    )
