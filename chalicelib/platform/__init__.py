"""The only importers of boto3: table, keys, queues, secrets, cursors, observability."""
