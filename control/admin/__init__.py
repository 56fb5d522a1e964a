"""The admin API: HTTP and JSON over a unix socket."""
