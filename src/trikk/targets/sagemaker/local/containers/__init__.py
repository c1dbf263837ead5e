"""Jobs as processes of this machine, by the documented contract of their containers."""
