-- The project's contacts with their traits, each in its latest state.
SELECT p.contact_id, p.traits
FROM people p
LEFT JOIN recent_people n ON n.contact_id = p.contact_id AND n.version >= p.version
WHERE p.project_id = :project AND n.contact_id IS NULL
UNION ALL
SELECT n.contact_id, n.traits
FROM recent_people n
LEFT JOIN people p ON p.project_id = :project AND p.contact_id = n.contact_id AND p.version > n.version
WHERE n.status = 'active' AND p.contact_id IS NULL
