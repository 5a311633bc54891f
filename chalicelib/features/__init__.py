"""One folder for each noun: model, schemas, store, service."""
