"""Which app a folder is of: what of its edge.toml must be known before edged reads it."""

from pathlib import Path
from typing import Final

import tomli

from control.refusal import Refused

MANIFEST: Final = "edge.toml"
USUAL_ENV: Final = "production"


def identity(folder: str, env: str = "", liked: str = "") -> tuple[str, str]:
    """Name and environment; everything else in the file is edged's to judge. Raises `Refused`.

    Without an `env` it is the one that is `liked`, if the file has that, or the only one.
    """
    path = Path(folder, MANIFEST)
    try:
        raw = tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        text = f'{path}: {error.strerror}: an app has one, with at least name = "…".'
        raise Refused("manifest-invalid", text) from None
    except (ValueError, RecursionError) as error:
        raise Refused("manifest-invalid", f"{path}: bad TOML: {error}") from None
    name, envs = raw.get("name"), raw.get("envs", {})
    if not isinstance(name, str) or not name:
        raise Refused("manifest-invalid", f'{path}: write name = "…"')
    if not env and isinstance(envs, dict) and liked in envs:
        env = liked
    if not env:
        env = next(iter(envs)) if isinstance(envs, dict) and len(envs) == 1 else USUAL_ENV
    return name, env
