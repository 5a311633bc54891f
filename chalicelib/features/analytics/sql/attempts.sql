-- Each start with how far it gets within the window.
SELECT contact_id, {reached}, {depth} AS depth
FROM {before}
WHERE s1 = 1
