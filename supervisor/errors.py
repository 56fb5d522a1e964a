"""Why the tree of processes cannot start or change. Each message says what to do about it."""


class StartError(Exception):
    """The tree cannot start: the message is one full sentence or more, for the operator."""


class ListenError(StartError):
    """An address cannot be listened on."""


class HandoverError(StartError):
    """What an upgrade left behind cannot be taken up."""
