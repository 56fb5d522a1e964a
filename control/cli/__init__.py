"""`edgectl`, one file per family of verbs."""
