-- A contact's earliest attempt of each depth: whoever starts later reaches nothing sooner, so it has the least of each.
SELECT contact_id, depth, {soonest}, MAX(r1) AS latest
FROM attempts
GROUP BY contact_id, depth
