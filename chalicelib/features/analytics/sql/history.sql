-- The same where some objects are not yet compacted: what a compacted one has too counts once.
SELECT
    CASE WHEN v.contact_id IS NOT NULL THEN v.owner WHEN m.contact_id IS NOT NULL THEN m.owner ELSE e.contact_id END AS contact_id,
    e.event, e.ts, e.received_at, e.seq, e.properties
FROM (
    SELECT contact_id, visitor, event, ts, received_at, seq, properties
    FROM events
    WHERE project_id = :project AND ts >= :since AND ts < :until AND {chosen}
    UNION ALL
    SELECT r.contact_id, r.visitor, r.event, r.ts, r.received_at, r.seq, r.properties
    FROM recent_events r
    LEFT JOIN (
        SELECT event_id
        FROM events
        WHERE project_id = :project AND ts >= :recent_since AND ts <= :recent_until AND ts >= :since AND ts < :until AND {chosen}
    ) s ON s.event_id = r.event_id
    WHERE r.project_id = :project AND r.ts >= :since AND r.ts < :until AND {chosen} AND s.event_id IS NULL
) e
LEFT JOIN moved m ON m.contact_id = e.contact_id AND m.visitor = ''
LEFT JOIN moved v ON v.contact_id = e.contact_id AND v.visitor <> '' AND v.visitor = e.visitor
WHERE CASE WHEN v.contact_id IS NOT NULL THEN v.owner WHEN m.contact_id IS NOT NULL THEN m.owner ELSE e.contact_id END IS NOT NULL
