# expect: defines no subclass of edge.Hook
from edge import Hook

assert Hook
