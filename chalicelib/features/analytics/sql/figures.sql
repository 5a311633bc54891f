SELECT
    COUNT(DISTINCT CASE WHEN ts > :month_ago THEN contact_id END) AS contacts,
    SUM(CASE WHEN ts >= :today THEN 1 ELSE 0 END) AS today,
    SUM(CASE WHEN ts >= :first_day AND ts < :today THEN 1 ELSE 0 END) AS before
FROM history h
