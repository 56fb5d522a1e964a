"""HTTP/1.1 for both directions: bytes in, heads and bodies out. No socket, no clock."""
