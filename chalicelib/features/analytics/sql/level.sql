-- For each event that may be this step: when each later step is reached soonest. An event does not follow itself.
SELECT contact_id, ts, received_at, seq, {flags}, {reached}
FROM {before}
WHERE {needed}
WINDOW later AS (
    PARTITION BY contact_id
    ORDER BY ts DESC, received_at DESC, seq DESC
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
)
