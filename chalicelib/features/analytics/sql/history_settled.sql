-- The project's events of a time by whose they are now, where all objects are compacted: each event is in one of them.
SELECT
    CASE WHEN v.contact_id IS NOT NULL THEN v.owner WHEN m.contact_id IS NOT NULL THEN m.owner ELSE e.contact_id END AS contact_id,
    e.event, e.ts, e.received_at, e.seq, e.properties
FROM (
    SELECT contact_id, visitor, event, ts, received_at, seq, properties
    FROM events
    WHERE project_id = :project AND ts >= :since AND ts < :until AND {chosen}
) e
LEFT JOIN moved m ON m.contact_id = e.contact_id AND m.visitor = ''
LEFT JOIN moved v ON v.contact_id = e.contact_id AND v.visitor <> '' AND v.visitor = e.visitor
WHERE CASE WHEN v.contact_id IS NOT NULL THEN v.owner WHEN m.contact_id IS NOT NULL THEN m.owner ELSE e.contact_id END IS NOT NULL
