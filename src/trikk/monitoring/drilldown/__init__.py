"""From a figure down to single cases, and to the rows behind them."""
