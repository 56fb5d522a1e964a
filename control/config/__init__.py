"""The server file: its schema, its positions, its checks, and what it resolves to."""

from control.config.load import Loaded, load, loads
from control.config.problem import Problem

__all__ = ["Loaded", "Problem", "load", "loads"]
