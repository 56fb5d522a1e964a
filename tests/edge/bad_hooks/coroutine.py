# expect: Async.request_filter must be a plain function, not a coroutine
from edge import Hook


class Async(Hook):
    async def request_filter(self, exchange):
        return None
