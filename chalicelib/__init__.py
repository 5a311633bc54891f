"""GrowthOS: one contact graph behind a Management API and an Ingest API."""
