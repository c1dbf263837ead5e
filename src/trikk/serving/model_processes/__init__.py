"""An endpoint's workers: processes with one model version each."""
