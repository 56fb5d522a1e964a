"""Apps: what runs, from the folder that it comes from to the processes that it is."""
