"""A rule over the past: which alarms it would have raised, and which threshold to take."""
