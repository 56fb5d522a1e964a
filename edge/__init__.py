"""The data plane: what runs in a worker. A hook module imports from here, and only from here."""

from edge import shared
from edge.errors import EdgeError
from edge.exchange import Exchange
from edge.hooks import Hook
from edge.message import Client, Peer, Request, Response

__all__ = ["Client", "EdgeError", "Exchange", "Hook", "Peer", "Request", "Response", "shared"]
