"""What tests need to run a real process tree: peers, clients, ports, waiting."""
