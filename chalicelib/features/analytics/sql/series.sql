SELECT bucket, 1 AS kind, CAST(NULL AS VARCHAR) AS label, {measure} AS number
FROM chosen c
GROUP BY bucket
UNION ALL
SELECT CAST(NULL AS BIGINT), 1, CAST(NULL AS VARCHAR), {measure}
FROM chosen c
