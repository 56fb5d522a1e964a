# expect: Short.request_filter must take (self, exchange)
from edge import Hook


class Short(Hook):
    def request_filter(self):
        return None
