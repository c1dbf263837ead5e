"""Commands on monitors, incidents and reports."""
