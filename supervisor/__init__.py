"""The master, and the life of every child process."""
