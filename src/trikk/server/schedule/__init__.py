"""Triggers carried out: what is due gets its run, once, whoever looks; paused, resumed and fired by hand."""
