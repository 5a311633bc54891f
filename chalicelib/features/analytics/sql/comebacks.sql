-- The periods in which each contact did what counts as coming back.
SELECT h.contact_id, {bucket} AS period
FROM history h
{persons}
WHERE {is_comeback}
GROUP BY 1, 2
