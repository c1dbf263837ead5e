"""Driver, worker and executors: who decides what is next, who does it, and who carries the message."""
