"""The data plane: what runs in a worker."""
