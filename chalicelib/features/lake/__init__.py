"""The lake: events and contacts of projects as Parquet in the bucket, a projection of the table."""
