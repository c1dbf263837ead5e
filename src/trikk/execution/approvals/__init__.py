"""Steps that ask people: what a driver does about them, and how a decision gets into a run."""
