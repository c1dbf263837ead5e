#!/usr/bin/env bash
set -eu
echo "cleaning for $1"
echo "a warning" >&2
{ head -n 1 "the counts.csv"; grep -v ',-' "the counts.csv" | tail -n +2 | sort; } > cleaned.csv
