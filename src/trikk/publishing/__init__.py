"""Publishing: rows as messages that readers get once, by Kafka, MQTT or a file."""
