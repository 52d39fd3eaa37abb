"""Our PostgreSQL: engine, models, reads and writes."""
