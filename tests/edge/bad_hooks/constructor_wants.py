# expect: NeedsArgument() does not load: TypeError
from edge import Hook


class NeedsArgument(Hook):
    def __init__(self, key):
        self.key = key
