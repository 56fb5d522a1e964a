# expect: Typo.request_filer is no phase; did you mean request_filter?
from edge import Hook


class Typo(Hook):
    def request_filer(self, exchange):
        return None
