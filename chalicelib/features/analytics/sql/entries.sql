-- The period of each contact's first entry.
SELECT contact_id, {bucket} AS cohort
FROM (
    SELECT h.contact_id, MIN(h.ts) AS ts
    FROM history h
    {persons}
    WHERE h.ts >= :since AND h.ts < :until AND {is_entry}
    GROUP BY h.contact_id
) first
