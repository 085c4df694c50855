"""A small synthetic library, the simulator that made it, and its truth."""
