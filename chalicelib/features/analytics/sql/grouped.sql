-- kind 0 are those without a value, 1 the groups that are told by name, 2 all others.
SELECT
    c.bucket,
    CASE WHEN c.label IS NULL THEN 0 WHEN p.place <= :most THEN 1 ELSE 2 END AS kind,
    CASE WHEN p.place <= :most THEN c.label END AS label,
    {measure} AS number
FROM chosen c
LEFT JOIN places p ON p.label = c.label
GROUP BY 1, 2, 3
UNION ALL
SELECT CAST(NULL AS BIGINT), 1, CAST(NULL AS VARCHAR), {measure}
FROM chosen c
