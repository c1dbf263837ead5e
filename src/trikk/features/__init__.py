"""Point-in-time features: the same values for training as were, or will be, served at that moment.

Independent of the other ready-made parts; reads runs, tables and the ledger below it.
"""

from trikk.features.feature_definition import Definition
from trikk.features.feature_table import FeatureTable

__all__ = ["Definition", "FeatureTable"]
