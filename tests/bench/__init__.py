"""Measuring edged beside nginx, HAProxy and Caddy: `python -m tests.bench`, or `make bench`."""
