"""Messages between processes: ports, records, and their adapters (NATS, memory)."""
