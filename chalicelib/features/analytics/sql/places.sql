-- The groups by their size over the whole range.
SELECT c.label, ROW_NUMBER() OVER (ORDER BY {measure} DESC, c.label) AS place
FROM chosen c
WHERE c.label IS NOT NULL
GROUP BY c.label
