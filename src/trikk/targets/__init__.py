"""Engines that run pipelines elsewhere: what each can express, its documents, and what became of a run there.

A pipeline has one description, its graph. Each engine is a visitor of it: it says what it can't do, and writes the
graph down in the engine's own format, in which every step is one job of the same command
(`trikk.targets.jobs.step_job`).
"""
