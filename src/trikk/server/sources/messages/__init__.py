"""Messages of Kafka and MQTT that have come."""
