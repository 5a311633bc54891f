-- The events that are steps, each with a flag for each step that it may fulfil.
SELECT h.contact_id, h.ts, h.received_at, h.seq, {flags}
FROM history h
{persons}
WHERE {any_step}
