"""The route table: what it holds (`model`), how it is matched (`match`), how it is read."""
