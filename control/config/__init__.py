"""The server file: its schema, its positions, its checks, and what it resolves to."""
