-- What is counted: when, whose, and by what it is grouped.
SELECT h.contact_id, {bucket} AS bucket, {label} AS label
FROM history h
{persons}
WHERE {filters}
