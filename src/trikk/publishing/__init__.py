"""Publishing: rows as messages that readers get once, by Kafka, MQTT or a file.

Both names are loaded when they are asked for: a server reads addresses of brokers, and publishes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.package import lazy_names

if TYPE_CHECKING:
    from trikk.publishing.publication import publish
    from trikk.publishing.stream import Stream

__all__ = ["publish", "Stream"]
__getattr__, __dir__ = lazy_names(__name__, {"publication": "publish", "stream": "Stream"})
