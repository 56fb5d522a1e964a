# expect: Constant.request_filter must be a plain function, not a coroutine
from edge import Hook


class Constant(Hook):
    request_filter = None
