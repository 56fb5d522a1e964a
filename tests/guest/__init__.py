"""A guest: another kernel, on this machine's files, for what only a whole machine can show."""
