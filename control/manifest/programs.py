"""The programs that apps are built and run with: where they are looked for, how they are got."""

import shutil
from typing import Final

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of apps, unless their `vars` have another. That of edged may lead into somebody's home, which the
users of apps may not enter."""


def is_on_path(program: str, path: str) -> bool:
    """Whether a program is there for apps that have this PATH."""
    return shutil.which(program, path=path) is not None


def lacking(program: str, path: str) -> str:
    """Where a program was looked for in vain, and what to do."""
    return f"there is no such program in PATH={path}{advice(program)}"


def advice(*names: str) -> str:
    """What to do when none of these programs is there; "" when nobody knows."""
    for name in names:
        elsewhere = shutil.which(name)
        if elsewhere is not None:
            return f": link {elsewhere} into /usr/local/bin, or set PATH in vars"
    known = next((_HOW[name] for name in names if name in _HOW), "")
    return f": {known}" if known else ""


# Private

_HOW: Final = {
    "bun": "npm install -g bun",
    "bundle": "apt install ruby-bundler",
    "composer": "apt install composer",
    "deno": "npm install -g deno",
    "go": "apt install golang-go",
    "gradle": "apt install gradle, or deploy the wrapper gradlew",
    "jar": "apt install default-jdk-headless",
    "java": "apt install default-jre-headless",
    "javac": "apt install default-jdk-headless",
    "mvn": "apt install maven, or deploy the wrapper mvnw",
    "node": "apt install nodejs",
    "npm": "apt install npm",
    "php": "apt install php-cli",
    "pnpm": "npm install -g pnpm",
    "poetry": "apt install python3-poetry",
    "puma": "apt install puma",
    "python3": "apt install python3-venv",
    "ruby": "apt install ruby",
    "yarn": "npm install -g yarn",
}
"""How an operator of Debian or Ubuntu gets them."""
