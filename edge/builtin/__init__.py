"""The platform, as hooks on the engine: one file each."""
