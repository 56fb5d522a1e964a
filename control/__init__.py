"""The control process, and what an operator touches."""
