# expect: Body.response_body_filter must take (self, exchange, data, end)
from edge import Hook


class Body(Hook):
    def response_body_filter(self, exchange, data):
        return data
