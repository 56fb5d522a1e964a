"""Whether something that came from outside is text that can be shown and kept: UTF-8."""


def is_utf_8(content: bytes) -> bool:
    """Whether bytes are. No error leaves it, nor is one kept: it would hold the content, which may
    be a secret."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_text(name: str) -> bool:
    """Whether a name from the system is: what was not UTF-8 stands in it as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
