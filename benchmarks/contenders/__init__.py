"""The floor, trikk and its peers, each behind the same small interface (`benchmarks.jobs.Contender`)."""
