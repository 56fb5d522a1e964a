"""TLS: connections, the contexts of names, and tickets that all workers share."""
