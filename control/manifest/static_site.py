"""Static sites: a folder that is there, or one that a build makes."""

from typing import Final

from control.manifest.package_json import (
    BUILDERS,
    FILE_NAME,
    builder_of,
    install_steps,
    runner_of,
    scripts_of,
)
from control.manifest.project import Detection, Project, Undetected
from control.manifest.spec import Step

ROOTS: Final = ("public", "dist", "build", "out", "_site", "site", "www", "htdocs")


def recognise_static(project: Project) -> str:
    """Why a folder is a site; "" when it is none."""
    builder = builder_of(project)
    if builder:
        return f"found {FILE_NAME}: {builder} builds it"
    folder = next((one for one in (".", *ROOTS) if project.has(f"{one}/index.html")), "")
    return f"found {folder}/index.html".replace("./", "", 1) if folder else ""


def plan_static(project: Project) -> Detection:
    """Build it where package.json says how; serve `root`, else the usual folder."""
    steps: tuple[Step, ...] = ()
    builder = builder_of(project)
    if "build" in scripts_of(project):
        argv = (runner_of(project), "run", "build")
        reason = f"found {FILE_NAME}: script `build`"
        steps = (*install_steps(project, with_dev=True), Step(argv=argv, reason=reason))
    root, reason = project.root, "written in edge.toml"
    if not root and builder:
        root, reason = BUILDERS[builder], f"{builder} puts it there"
    if not root:
        root = next((one for one in (".", *ROOTS) if project.has(f"{one}/index.html")), "")
        reason = f"found its index.html in {root}"
    if not root:
        looked = ", ".join(ROOTS)
        raise Undetected(f'there is no index.html here or in {looked}: write root = "FOLDER"')
    if not steps and not project.has_folder(root):
        raise Undetected(f'there is no folder "{root}", and nothing builds it')
    return Detection(runtime="static", build=steps, root=root, found=(("root", reason),))
