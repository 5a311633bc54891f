-- How many got so far, how many of these may still go on, and the median of the time that a step took.
SELECT depth AS step, COUNT(*) AS contacts, SUM(CASE WHEN latest + :window >= :as_of THEN 1 ELSE 0 END) AS still_open,
    CAST(NULL AS DOUBLE) AS median
FROM best
GROUP BY depth
UNION ALL
SELECT step, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), AVG(gap)
FROM (
    SELECT step, gap, ROW_NUMBER() OVER (PARTITION BY step ORDER BY gap) AS place, COUNT(*) OVER (PARTITION BY step) AS number
    FROM ({gaps}) g
) ranked
WHERE 2 * place >= number AND 2 * place <= number + 2
GROUP BY step
