-- Each contact's best attempt, and the latest start among those that got as far.
SELECT f.*
FROM furthest f
JOIN (SELECT contact_id, MAX(depth) AS depth FROM furthest GROUP BY contact_id) d
    ON d.contact_id = f.contact_id AND d.depth = f.depth
