"""`/backfills`: pipelines that are run for each day of a period."""
