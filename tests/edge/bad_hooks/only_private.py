# expect: defines no subclass of edge.Hook
from edge import Hook


class _Base(Hook):
    pass
