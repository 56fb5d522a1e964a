"""Process main of the throw-away process of a DNS hook: `FILE present|cleanup NAME VALUE`."""

import importlib.util
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Call that function of that file; what it raises ends the process, and is what it said."""
    file, verb, name, value = arguments
    sys.path.insert(0, str(Path(file).resolve().parent))
    spec = importlib.util.spec_from_file_location("edged_dns_hook", file)
    if spec is None or spec.loader is None:
        print(f"{file} is no Python file", file=sys.stderr)  # noqa: T201  our answer
        return 1
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, verb, None)
    if function is None:
        print(f"{file} has no function {verb}(name, value)", file=sys.stderr)  # noqa: T201
        return 1
    function(name, value)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
