# expect: does not load: SyntaxError
from edge import Hook

class Broken(Hook)
    pass
