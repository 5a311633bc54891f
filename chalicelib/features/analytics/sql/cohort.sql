SELECT cohort, CAST(NULL AS BIGINT) AS period, COUNT(*) AS contacts
FROM entries
GROUP BY cohort
UNION ALL
SELECT e.cohort, c.period, COUNT(*)
FROM entries e
JOIN comebacks c ON c.contact_id = e.contact_id AND c.period > e.cohort
GROUP BY e.cohort, c.period
