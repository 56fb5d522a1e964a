# expect: Lenient.on_error is 'ignore', not "fail" or "continue"
from edge import Hook


class Lenient(Hook):
    on_error = "ignore"

    def request_filter(self, exchange):
        return None
