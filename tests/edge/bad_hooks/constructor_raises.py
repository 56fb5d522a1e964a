# expect: NeedsKey() does not load: KeyError: 'EDGED_TEST_NO_SUCH_KEY'
import os

from edge import Hook


class NeedsKey(Hook):
    def __init__(self):
        self.key = os.environ["EDGED_TEST_NO_SUCH_KEY"]
