"""Process main of the throw-away process of a DNS hook: `FILE present|cleanup NAME VALUE`."""

import importlib.util
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Call that function of that file; what it raises ends the process, and is what it said."""
    file, verb, name, value = arguments
    sys.path.insert(0, str(Path(file).resolve().parent))
    spec = importlib.util.spec_from_file_location("edged_dns_hook", file)
    if spec is None or spec.loader is None:
        sys.exit(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, verb, None)
    if function is None:
        sys.exit(f"{file} has no function {verb}(name, value)")
    function(name, value)


if __name__ == "__main__":
    main(sys.argv[1:])
