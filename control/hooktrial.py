"""Process main of the throw-away process that loads hooks: `USER HOOK_PATH HOOK…`.

It imports edged's own code first and takes the workers' user afterwards, as workers do: the code
need not be readable for that user, the hooks must be.
"""

import os
import pwd
import sys

from edge import hookcheck
from edge.preload import preload


def main(arguments: list[str]) -> int:
    """Check the hooks as that user ("": as oneself)."""
    user, hook_path, *hooks = arguments
    preload()
    if user:
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    return hookcheck.main(["--path", hook_path, *hooks])


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
