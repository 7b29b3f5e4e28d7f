-- Every statement of 05caef4, made by scripts/statements.py. Each ends with an empty line.

-- console/src/store/audit.rs
INSERT INTO audit (kind, who, via, address, method, path) VALUES ('write', $1, $2, $3, $4, $5) RETURNING id

-- console/src/store/audit.rs
UPDATE audit SET status = $2, detail = $3, ended_at = now() WHERE id = $1 AND status IS NULL

-- console/src/store/audit.rs
INSERT INTO audit (kind, who, via, address, method, path, status, detail, ended_at)
VALUES ('refusal', $1, $2, $3, $4, $5, $6, $7, now())

-- console/src/store/audit.rs
SELECT id, at, kind, who, via, address, method, path, status, detail FROM audit
WHERE ($1::text IS NULL OR who = $1) AND ($2::text IS NULL OR kind = $2) AND ($3::int8 IS NULL OR id < $3)
ORDER BY id DESC LIMIT $4

-- console/src/store/cards.rs
SELECT i.image_id,
coalesce((SELECT max(h.id) FROM fix_history h WHERE h.image_id = image), 0)
|| '.' || coalesce((SELECT left(t.bytes_hash::text, 8) FROM image_tags t WHERE t.image_id = image
ORDER BY greatest(t.validated_at, t.tagged_at) DESC LIMIT 1), '0'), s.scrape_id, s.advertiser_id, i.seq, i.url, i.image_key, i.listing_id, i.outcome,
i.reason, i.tags, ARRAY(SELECT jsonb_object_keys(coalesce(i.fix, '{}'))), i.scores, s.key
FROM unnest($1::int8[], $2::int4[]) AS p (key, seq)
JOIN scrapes s ON s.key = p.key
CROSS JOIN LATERAL (
SELECT i.*, t.scores, i.image_id AS image FROM scrape_images i
LEFT JOIN image_tags t ON t.image_id = i.image_id AND t.model_set = i.model_set
WHERE i.day = s.day AND i.scrape = s.key AND i.seq = p.seq) i

-- console/src/store/conflicts.rs
WITH conflict AS (
SELECT attribute, image_id FROM fixes
WHERE ($1::text IS NULL OR attribute = $1) AND ($2::text IS NULL OR (attribute, image_id) > ($2, $3))
GROUP BY attribute, image_id
HAVING count(DISTINCT to_jsonb(coalesce(value, chr(1)))) > 1
AND ($4::text IS NULL OR bool_or(advertiser_id = $4))
ORDER BY attribute, image_id LIMIT $5)
SELECT f.image_id, f.attribute, i.url, nullif(f.advertiser_id, ''), f.value, f.fixed_by, f.note, f.fixed_at
FROM conflict c JOIN fixes f USING (attribute, image_id)
LEFT JOIN LATERAL (SELECT url FROM scrape_images WHERE image_id = c.image_id
ORDER BY day DESC LIMIT 1) i ON true
ORDER BY f.attribute, f.image_id, f.advertiser_id

-- console/src/store/fixes.rs
SELECT image_id, advertiser_id, attribute, action = 'set', to_value FROM fix_history WHERE id = $1

-- console/src/store/fixes.rs
SELECT id, image_id FROM fix_history WHERE id = ANY($1)

-- console/src/store/fixes.rs
SELECT DISTINCT ON (h.image_id, h.advertiser_id, h.attribute)
h.image_id, h.advertiser_id, h.attribute, coalesce(b.action = 'set', false), b.to_value,
EXISTS (SELECT FROM fix_history n
WHERE n.image_id = h.image_id AND n.advertiser_id = h.advertiser_id
AND n.attribute = h.attribute AND n.id > h.id AND n.id <> ALL($1))
FROM fix_history h
LEFT JOIN LATERAL (SELECT action, to_value FROM fix_history b
WHERE b.image_id = h.image_id AND b.advertiser_id = h.advertiser_id
AND b.attribute = h.attribute AND b.id < h.id
ORDER BY b.id DESC LIMIT 1) b ON true
WHERE h.id = ANY($1) ORDER BY h.image_id, h.advertiser_id, h.attribute, h.id

-- console/src/store/fixes.rs
SELECT image FROM unnest($1::uuid[]) AS image
WHERE NOT EXISTS (SELECT FROM image_tags WHERE image_id = image)
AND NOT EXISTS (SELECT FROM scrape_images WHERE image_id = image)
AND NOT EXISTS (SELECT FROM fix_history WHERE image_id = image)

-- console/src/store/history.rs
SELECT pg_advisory_xact_lock(hashtextextended('tagfleet fix_history', 0))

-- console/src/store/history.rs
SELECT coalesce(max(id), 0) FROM fix_history

-- console/src/store/history.rs
SELECT coalesce((SELECT min(id) - 1 FROM fix_history WHERE at >= $1), $2)

-- console/src/store/history.rs
SELECT h.id, h.image_id, nullif(h.advertiser_id, ''), h.attribute, h.action,
h.from_value, h.to_value, h.fixed_by, h.note, h.at, i.url, i.image_key
FROM (SELECT * FROM fix_history WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) h
LEFT JOIN LATERAL (SELECT url, image_key FROM scrape_images
WHERE image_id = h.image_id ORDER BY day DESC LIMIT 1) i ON true
ORDER BY h.id

-- console/src/store/images.rs
SELECT i.image_id,
coalesce((SELECT max(h.id) FROM fix_history h WHERE h.image_id = image), 0)
|| '.' || coalesce((SELECT left(t.bytes_hash::text, 8) FROM image_tags t WHERE t.image_id = image
ORDER BY greatest(t.validated_at, t.tagged_at) DESC LIMIT 1), '0'), s.scrape_id, s.advertiser_id, i.seq, i.url, i.image_key, i.listing_id, i.outcome,
i.reason, i.tags, ARRAY(SELECT jsonb_object_keys(coalesce(i.fix, '{}'))), i.scores, s.key
FROM (SELECT key, day, scrape_id, advertiser_id FROM scrapes s
WHERE ($1::text IS NULL OR scrape_id = $1) AND ($2::text IS NULL OR advertiser_id = $2)
AND ($10::int8 IS NULL OR key <= $10)
AND state <> 'refused'
AND ($1 IS NOT NULL OR NOT EXISTS (
SELECT FROM scrapes n WHERE n.advertiser_id = s.advertiser_id
AND (n.finished_at, n.key) > (s.finished_at, s.key) AND n.state <> 'refused'))
ORDER BY key DESC) s
CROSS JOIN LATERAL (
SELECT i.*, t.scores, i.image_id AS image FROM scrape_images i
LEFT JOIN image_tags t ON t.image_id = i.image_id AND t.model_set = i.model_set
WHERE i.day = s.day AND i.scrape = s.key AND ($10 IS NULL OR s.key < $10 OR i.seq > $11)
AND ($3::text IS NULL OR $4::text IS NULL
OR i.tags ? $3 AND i.tags ->> $3 IS NOT DISTINCT FROM nullif($4, 'null'))
AND ($5::float8 IS NULL OR (t.scores ->> $3)::float8 < $5)
AND ($6::text IS NULL OR coalesce(i.outcome, 'none') = $6)
AND ($7::bool IS NULL OR (coalesce(i.fix, '{}') <> '{}') = $7)
AND ($8::text IS NULL OR i.url ILIKE $8 OR i.image_key ILIKE $8)
ORDER BY i.seq LIMIT $9) i
LIMIT $9

-- console/src/store/images.rs
SELECT image,
coalesce((SELECT max(h.id) FROM fix_history h WHERE h.image_id = image), 0)
|| '.' || coalesce((SELECT left(t.bytes_hash::text, 8) FROM image_tags t WHERE t.image_id = image
ORDER BY greatest(t.validated_at, t.tagged_at) DESC LIMIT 1), '0'), listed
FROM (SELECT image, EXISTS (SELECT FROM scrape_images WHERE image_id = image) AS listed
FROM (SELECT unnest($1::uuid[]) AS image
UNION
SELECT image_id FROM scrape_images
WHERE hashtextextended(url, 0) = hashtextextended($2::text, 0) AND url = $2
AND image_key IS NOT NULL) AS candidate) AS known
WHERE listed OR EXISTS (SELECT FROM image_tags WHERE image_id = image)
OR EXISTS (SELECT FROM fix_history WHERE image_id = image)
ORDER BY image LIMIT 100

-- console/src/store/inventory.rs
SELECT key, day, scrape_id, state <> 'tagged' FROM scrapes
WHERE advertiser_id = $1 AND state <> 'refused' ORDER BY finished_at DESC, key DESC LIMIT 1

-- console/src/store/inventory.rs
SELECT url, image_key, listing_id, position, configured FROM scrape_images
WHERE day = $1 AND scrape = $2 ORDER BY seq

-- console/src/store/model_sets.rs
SELECT name, digest, description, card, attributes, first_seen, loaded_at,
coalesce((SELECT (c.reltuples * f.freq)::int8
FROM pg_stats s, pg_class c,
unnest(s.most_common_vals::text::int[], s.most_common_freqs) AS f (id, freq)
WHERE s.schemaname = 'public' AND s.tablename = 'image_tags' AND s.attname = 'model_set'
AND c.oid = 'image_tags'::regclass AND f.id = m.id), 0)
FROM model_sets m ORDER BY loaded_at DESC NULLS LAST, id DESC LIMIT 100

-- console/src/store/model_sets.rs
SELECT attributes FROM model_sets WHERE loaded_at IS NOT NULL ORDER BY loaded_at DESC, id DESC LIMIT 1

-- console/src/store/outbox.rs
WITH taken AS (
DELETE FROM fix_outbox WHERE history IN
(SELECT history FROM fix_outbox ORDER BY history LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING history)
SELECT h.id, h.image_id, i.image_key, i.url, nullif(h.advertiser_id, ''), h.attribute, h.action = 'set',
h.from_value, h.to_value, h.fixed_by, h.note, h.at
FROM taken JOIN fix_history h ON h.id = taken.history
LEFT JOIN LATERAL (SELECT image_key, url FROM scrape_images
WHERE image_id = h.image_id ORDER BY day DESC LIMIT 1) i ON true
ORDER BY h.id

-- console/src/store/pictures.rs
SELECT url FROM scrape_images WHERE image_id = $1 ORDER BY day DESC, scrape DESC LIMIT 1

-- console/src/store/scrapes.rs
SELECT s.key, s.scrape_id, s.advertiser_id, s.lane, s.state, s.listed,
coalesce(s.outcomes, p.outcomes, '{}'), coalesce(p.per_second, 0),
s.state IN ('fanning_out', 'tagging')
AND greatest(p.moved_at, s.published_at, s.received_at) < now() - $1::float8 * interval '1 second',
coalesce(p.moved_at, s.tagged_at), n.scrape_id, s.finished_at, s.received_at, s.published_at, s.tagged_at
FROM scrapes s
LEFT JOIN scrapes n ON n.key = s.superseded_by
LEFT JOIN LATERAL (
SELECT jsonb_object_agg(outcome, images) AS outcomes, max(moved_at) AS moved_at,
sum(recent)::float8 / 60 AS per_second
FROM (SELECT outcome, sum(images) AS images, max(recorded_at) AS moved_at,
sum(images) FILTER (WHERE recorded_at > now() - interval '1 minute' AND images > 0) AS recent
FROM scrape_progress WHERE scrape = s.key GROUP BY outcome) AS of_outcome
) p ON true
WHERE ($2::text IS NULL OR s.advertiser_id = $2) AND ($3::text IS NULL OR s.state = $3)
AND ($4::int8 IS NULL OR s.key < $4)
ORDER BY s.key DESC LIMIT $5

-- console/src/store/scrapes.rs
SELECT s.key, s.scrape_id, s.advertiser_id, s.lane, s.state, s.listed,
coalesce(s.outcomes, p.outcomes, '{}'), coalesce(p.per_second, 0),
s.state IN ('fanning_out', 'tagging')
AND greatest(p.moved_at, s.published_at, s.received_at) < now() - $1::float8 * interval '1 second',
coalesce(p.moved_at, s.tagged_at), n.scrape_id, s.finished_at, s.received_at, s.published_at, s.tagged_at
FROM scrapes s
LEFT JOIN scrapes n ON n.key = s.superseded_by
LEFT JOIN LATERAL (
SELECT jsonb_object_agg(outcome, images) AS outcomes, max(moved_at) AS moved_at,
sum(recent)::float8 / 60 AS per_second
FROM (SELECT outcome, sum(images) AS images, max(recorded_at) AS moved_at,
sum(images) FILTER (WHERE recorded_at > now() - interval '1 minute' AND images > 0) AS recent
FROM scrape_progress WHERE scrape = s.key GROUP BY outcome) AS of_outcome
) p ON true WHERE s.scrape_id = $2

-- console/src/store/scrapes.rs
SELECT i.outcome, i.reason, count(*) FROM scrapes s JOIN scrape_images i ON i.day = s.day AND i.scrape = s.key
WHERE s.scrape_id = $1 AND i.reason IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2

-- console/src/store/sessions.rs
WITH over AS (DELETE FROM sessions WHERE expires_at < now())
INSERT INTO sessions (hash, subject, name, role, csrf, expires_at)
VALUES ($1, $2, $3, $4, $5, now() + $6::float8 * interval '1 second')

-- console/src/store/sessions.rs
SELECT subject, name, role, csrf FROM sessions WHERE hash = $1 AND expires_at > now()

-- console/src/store/sessions.rs
DELETE FROM sessions WHERE hash = $1

-- console/src/store/sessions.rs
WITH over AS (DELETE FROM logins WHERE expires_at < now())
INSERT INTO logins (hash, nonce, verifier, next, expires_at)
VALUES ($1, $2, $3, $4, now() + interval '10 minutes')

-- console/src/store/sessions.rs
DELETE FROM logins WHERE hash = $1 AND expires_at > now() RETURNING nonce, verifier, next

-- console/src/store/story.rs
SELECT
coalesce((SELECT max(h.id) FROM fix_history h WHERE h.image_id = image), 0)
|| '.' || coalesce((SELECT left(t.bytes_hash::text, 8) FROM image_tags t WHERE t.image_id = image
ORDER BY greatest(t.validated_at, t.tagged_at) DESC LIMIT 1), '0') FROM (SELECT $1::uuid AS image) AS i

-- console/src/store/story.rs
SELECT DISTINCT ON (s.advertiser_id) s.advertiser_id, s.scrape_id, i.seq, i.url, i.image_key, i.listing_id,
i.outcome, i.reason, m.digest, i.recorded_at, i.tags, i.configured, i.fix
FROM (SELECT * FROM scrape_images WHERE image_id = $1 ORDER BY day DESC LIMIT $2) i
JOIN scrapes s ON s.key = i.scrape LEFT JOIN model_sets m ON m.id = i.model_set
ORDER BY s.advertiser_id, s.finished_at DESC, i.seq

-- console/src/store/story.rs
SELECT m.name, m.digest, m.card, t.tags, t.scores, t.bytes_hash, t.width, t.height, t.tagged_at,
t.validated_at,
(SELECT count(*) FROM (SELECT FROM image_tags o WHERE o.bytes_hash = t.bytes_hash
AND o.model_set = t.model_set AND o.image_id <> t.image_id LIMIT 100) AS twin)
FROM image_tags t JOIN model_sets m ON m.id = t.model_set
WHERE t.image_id = $1 ORDER BY t.tagged_at DESC LIMIT 50

-- console/src/store/story.rs
SELECT nullif(advertiser_id, ''), attribute, value, fixed_by, note, fixed_at FROM fixes
WHERE image_id = $1 ORDER BY attribute, advertiser_id

-- console/src/store/story.rs
SELECT outcome, reason, until FROM image_failures WHERE image_id = $1 AND until > now()

-- console/src/store/tokens.rs
INSERT INTO api_tokens (name, hash, rights, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING

-- console/src/store/tokens.rs
SELECT name, rights, created_at, expires_at, revoked_at, last_used_at FROM api_tokens
ORDER BY revoked_at NULLS FIRST, name

-- console/src/store/tokens.rs
UPDATE api_tokens SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL

-- console/src/store/tokens.rs
SELECT id, name, rights, last_used_at IS NULL OR last_used_at < now() - interval '1 minute' FROM api_tokens
WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- console/src/store/tokens.rs
UPDATE api_tokens SET last_used_at = now()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')

-- console/src/store/version.rs
SELECT image FROM unnest($1::uuid[], $2::int8[], $3::text[]) AS s (image, entry, bytes)
WHERE split_part(
coalesce((SELECT max(h.id) FROM fix_history h WHERE h.image_id = image), 0)
|| '.' || coalesce((SELECT left(t.bytes_hash::text, 8) FROM image_tags t WHERE t.image_id = image
ORDER BY greatest(t.validated_at, t.tagged_at) DESC LIMIT 1), '0'), '.', 2) <> s.bytes
OR EXISTS (SELECT FROM fix_history h
WHERE h.image_id = image AND h.id > s.entry AND h.attribute = $4
AND ($5 = $6 OR h.advertiser_id IN ($5, $6)))

-- scheduler/src/lock.rs
SELECT pg_try_advisory_lock(hashtextextended('scrape ' || $1, 0))

-- scheduler/src/lock.rs
SELECT pg_advisory_unlock_all()

-- scheduler/src/store/accept.rs
SELECT state, key, scrape_id, advertiser_id, day, lane, listed, published, superseded_by IS NOT NULL AS superseded FROM scrapes WHERE scrape_id = $1

-- scheduler/src/store/accept.rs
SELECT today.day, ensure_partition(today.day)
FROM (SELECT (now() AT TIME ZONE 'UTC')::date AS day) today

-- scheduler/src/store/accept.rs
INSERT INTO scrapes (scrape_id, advertiser_id, finished_at, lane, day)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (scrape_id) DO NOTHING
RETURNING key

-- scheduler/src/store/accept.rs
UPDATE scrapes
SET state = 'fanning_out', finished_at = $3, lane = $4, day = $5, received_at = now(),
superseded_by = NULL, swept_at = NULL
WHERE scrape_id = $1 AND advertiser_id = $2 AND state = 'refused'
RETURNING key

-- scheduler/src/store/leave.rs
UPDATE scrapes SET state = 'tagging', published_at = now(), listed = $2, published = $3
WHERE key = $1 AND state = 'fanning_out'

-- scheduler/src/store/leave.rs
UPDATE scrapes SET state = 'refused' WHERE key = $1 AND state = 'fanning_out' AND listed = 0

-- scheduler/src/store/list.rs
INSERT INTO scrape_progress (scrape, outcome, images) VALUES ($1, 'skipped', $2)

-- scheduler/src/store/list.rs
UPDATE scrapes SET listed = $2, published = $3, lane = $4 WHERE key = $1
RETURNING superseded_by IS NOT NULL

-- scheduler/src/store/list.rs
SELECT seq, image_id, url FROM scrape_images
WHERE scrape = $1 AND day = $2 AND seq >= $3 AND outcome IS NULL
ORDER BY seq LIMIT $4

-- scheduler/src/store/progress.rs
SELECT s.key, p.images >= s.listed AS ended
FROM scrapes s
CROSS JOIN LATERAL (SELECT count(*) AS rows, coalesce(sum(images), 0) AS images
FROM scrape_progress WHERE scrape = s.key) p
WHERE s.state = 'tagging' AND s.announced_at IS NULL
AND (p.images >= s.listed OR p.rows > $1)
ORDER BY s.key LIMIT $2

-- scheduler/src/store/progress.rs
SELECT key FROM scrapes WHERE key = ANY($1) AND state = 'tagging'
ORDER BY key FOR NO KEY UPDATE SKIP LOCKED

-- scheduler/src/store/progress.rs
WITH counted AS (DELETE FROM scrape_progress WHERE scrape = ANY($1) RETURNING *)
INSERT INTO scrape_progress (scrape, outcome, images, recorded_at)
SELECT scrape, outcome, sum(images), max(recorded_at) FROM counted GROUP BY scrape, outcome

-- scheduler/src/store/progress.rs
WITH counted AS (DELETE FROM scrape_progress WHERE scrape = ANY($1) RETURNING *),
sums AS (SELECT scrape, outcome, sum(images) AS images, max(recorded_at) AS last
FROM counted GROUP BY scrape, outcome),
ends AS (SELECT scrape, jsonb_object_agg(outcome, images) AS outcomes, max(last) AS last
FROM sums GROUP BY scrape)
UPDATE scrapes s
SET state = 'tagged', outcomes = coalesce(e.outcomes, '{}'),
tagged_at = greatest(e.last, s.published_at)
FROM unnest($1) AS claimed (key) LEFT JOIN ends e ON e.scrape = claimed.key
WHERE s.key = claimed.key

-- scheduler/src/store/progress.rs
SELECT s.key, s.scrape_id, s.advertiser_id, s.lane, s.listed, s.outcomes, n.scrape_id AS superseded_by,
s.finished_at, s.received_at, s.published_at, s.tagged_at
FROM scrapes s LEFT JOIN scrapes n ON n.key = s.superseded_by
WHERE s.state = 'tagged' AND s.announced_at IS NULL
ORDER BY s.key LIMIT $1
FOR NO KEY UPDATE OF s SKIP LOCKED

-- scheduler/src/store/progress.rs
UPDATE scrapes SET announced_at = now() WHERE key = ANY($1)

-- scheduler/src/store/stalled.rs
UPDATE scrapes SET swept_at = now(), sweeps = sweeps + 1
WHERE key = (
SELECT key FROM scrapes s
WHERE state = 'tagging' AND announced_at IS NULL
AND greatest(published_at, swept_at,
(SELECT max(recorded_at) FROM scrape_progress WHERE scrape = s.key))
< now() - CASE WHEN lane = ANY($2)
THEN least($1 * power(2, least(sweeps, 20)) * interval '1 second', '1 day')
ELSE '1 day' END
ORDER BY key LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED)
RETURNING key, scrape_id, advertiser_id, day, lane, listed, published, superseded_by IS NOT NULL AS superseded

-- scheduler/src/store/stalled.rs
WITH old AS MATERIALIZED (
SELECT key, scrape_id FROM scrapes
WHERE state = 'fanning_out' AND announced_at IS NULL
AND greatest(received_at, swept_at) < now() - interval '1 day'
ORDER BY key LIMIT 20
FOR NO KEY UPDATE SKIP LOCKED
), abandoned AS MATERIALIZED (
SELECT key FROM old WHERE pg_try_advisory_xact_lock(hashtextextended('scrape ' || scrape_id, 0))
)
UPDATE scrapes SET swept_at = now() WHERE key IN (SELECT key FROM abandoned) RETURNING scrape_id

-- scheduler/src/store/stalled.rs
SELECT image_id FROM pending_fixes WHERE requested_at < now() - interval '5 seconds'
ORDER BY requested_at LIMIT $1

-- scheduler/src/store/standing.rs
SELECT s.lane, s.state, count(*) AS scrapes,
count(*) FILTER (WHERE greatest(s.received_at, s.published_at, p.last)
< now() - CASE WHEN s.lane = ANY($2) THEN $1 * interval '1 second'
ELSE greatest($1 * interval '1 second', interval '1 day') END
) AS stuck,
sum(greatest(s.listed - p.images, 0))::int8 AS untagged,
extract(epoch FROM now() - min(s.received_at))::float8 AS oldest
FROM scrapes s
CROSS JOIN LATERAL (SELECT coalesce(sum(images), 0) AS images, max(recorded_at) AS last
FROM scrape_progress WHERE scrape = s.key) p
WHERE s.state IN ('fanning_out', 'tagging') GROUP BY s.lane, s.state

-- scheduler/src/store/standing.rs
SELECT coalesce((SELECT max(id) FROM fix_history), 0), pg_database_size(current_database())

-- scheduler/src/store/standing.rs
SELECT count(*) FROM scrape_images i JOIN scrapes s ON s.key = i.scrape AND s.day = i.day
WHERE s.key = $1 AND i.recorded_at > s.received_at + $2 * interval '1 second'

-- scheduler/src/store/standing.rs
SELECT *, extract(epoch FROM now() - reported_at)::float8 AS reported_seconds
FROM worker_reports WHERE reported_at > now() - interval '1 day' ORDER BY pool, worker

-- scheduler/src/store/supersede.rs
SELECT pg_advisory_xact_lock(hashtextextended('advertiser ' || $1, 0))

-- scheduler/src/store/supersede.rs
UPDATE scrapes older SET superseded_by = newer.key
FROM scrapes newer
WHERE newer.key = $1
AND older.advertiser_id = newer.advertiser_id
AND older.state IN ('fanning_out', 'tagging')
AND older.superseded_by IS NULL
AND (older.finished_at, older.key) < (newer.finished_at, newer.key)

-- scheduler/src/store/supersede.rs
UPDATE scrapes late SET superseded_by = newest.key
FROM (SELECT o.key FROM scrapes o JOIN scrapes l ON l.key = $1
WHERE o.advertiser_id = l.advertiser_id
AND (o.listed > 0 OR o.state IN ('tagging', 'tagged'))
AND (o.finished_at, o.key) > (l.finished_at, l.key)
ORDER BY o.finished_at DESC, o.key DESC
LIMIT 1) newest
WHERE late.key = $1

-- scheduler/src/store/supersede.rs
WITH skipped AS (
UPDATE scrape_images i
SET outcome = 'skipped', reason = $5, recorded_at = now(),
tags = coalesce(i.configured, '{}') || coalesce(i.fix, fixes_for(i.image_id, $6)),
base = CASE WHEN coalesce(i.fix, fixes_for(i.image_id, $6)) <> '{}'
THEN coalesce(i.configured, '{}') END
WHERE i.scrape = $1 AND i.day = $2 AND i.seq >= $3 AND i.seq < $4 AND i.outcome IS NULL
RETURNING 1
), counted AS (
INSERT INTO scrape_progress (scrape, outcome, images)
SELECT $1, 'skipped', count(*) FROM skipped HAVING count(*) > 0
)
SELECT count(*) FROM skipped

-- scheduler/src/store/upkeep.rs
SELECT ensure_partition((now() AT TIME ZONE 'UTC')::date + $1::int)

-- scheduler/src/store/upkeep.rs
SELECT drop_partitions_before((now() AT TIME ZONE 'UTC')::date - $1::int)

-- scheduler/src/store/upkeep.rs
SELECT scrape_id, day, state FROM scrapes
WHERE state IN ('fanning_out', 'tagging') AND day < (now() AT TIME ZONE 'UTC')::date - $1::int
ORDER BY day, key LIMIT 10

-- scheduler/src/store/upkeep.rs
DELETE FROM image_failures WHERE until < now()

-- scheduler/src/store/upkeep.rs
DELETE FROM worker_reports WHERE reported_at < now() - interval '1 day'

-- shared/src/admin.rs
SELECT 1

-- shared/src/db.rs
SELECT version FROM refinery_schema_history

-- shared/src/db.rs
SELECT pg_advisory_unlock(hashtextextended('tagfleet migrate', 0))

-- shared/src/fixes/correct.rs
SELECT pg_advisory_xact_lock(hashtextextended(image::text, 2))
FROM (SELECT DISTINCT image FROM unnest($1::uuid[]) AS image ORDER BY image) AS in_order

-- shared/src/fixes/correct.rs
INSERT INTO fixes (image_id, advertiser_id, attribute, value, fixed_by, note)
SELECT DISTINCT image, $2, $3, $4, $5, $6 FROM unnest($1::uuid[]) AS image
ON CONFLICT (image_id, advertiser_id, attribute) DO UPDATE
SET value = excluded.value, fixed_by = excluded.fixed_by, note = excluded.note, fixed_at = now()
RETURNING image_id

-- shared/src/fixes/correct.rs
SELECT set_config('tagfleet.person', $1, true), set_config('tagfleet.note', $2, true)

-- shared/src/fixes/correct.rs
DELETE FROM fixes WHERE image_id = ANY($1) AND advertiser_id = $2 AND attribute = $3 RETURNING image_id

-- shared/src/fixes/correct.rs
SELECT image_id, max(id) FROM fix_history
WHERE image_id = ANY($1) AND advertiser_id = $2 AND attribute = $3 GROUP BY image_id

-- shared/src/fixes/mod.rs
SELECT apply_fixes_to($1)

-- shared/src/reopen.rs
SELECT key, day, lane FROM scrapes
WHERE scrape_id = $1 AND superseded_by IS NULL AND state IN ('tagging', 'tagged') FOR NO KEY UPDATE

-- shared/src/reopen.rs
WITH open AS MATERIALIZED (
SELECT day, scrape, seq FROM scrape_images
WHERE day = $1 AND scrape = $2 AND outcome = 'skipped' AND reason <> $3 ORDER BY seq FOR UPDATE)
UPDATE scrape_images i
SET outcome = NULL, reason = NULL, tags = NULL, base = NULL, model_set = NULL, recorded_at = NULL,
trials = 0
FROM open WHERE i.day = open.day AND i.scrape = open.scrape AND i.seq = open.seq
RETURNING i.seq, i.image_id, i.url

-- shared/src/reopen.rs
DELETE FROM image_failures WHERE image_id = ANY($1)

-- shared/src/reopen.rs
INSERT INTO scrape_progress (scrape, outcome, images)
SELECT scrape, $3, -images FROM unnest($1::int8[], $2::int4[]) AS o (scrape, images)
UNION ALL
SELECT s.key, o.key, o.value::int FROM scrapes s CROSS JOIN jsonb_each_text(s.outcomes) o
WHERE s.key = ANY($1) AND s.state = 'tagged'

-- shared/src/reopen.rs
UPDATE scrapes SET state = 'tagging', outcomes = NULL, tagged_at = NULL, announced_at = NULL
WHERE key = ANY($1) AND state = 'tagged'

-- shared/src/reopen.rs
SELECT key FROM scrapes
WHERE key = ANY($1) AND superseded_by IS NULL AND state IN ('fanning_out', 'tagging', 'tagged')
ORDER BY key FOR NO KEY UPDATE

-- shared/src/reopen.rs
WITH opened AS (
UPDATE scrape_images i
SET outcome = NULL, reason = NULL, tags = NULL, base = NULL, model_set = NULL, recorded_at = NULL,
trials = 0
FROM unnest($1::date[], $2::int8[], $3::int4[]) AS j (day, scrape, seq)
WHERE i.day = j.day AND i.scrape = j.scrape AND i.seq = j.seq
AND i.scrape = ANY($4) AND i.outcome = 'defaulted' AND i.reason = ANY($5)
RETURNING i.scrape)
SELECT scrape, count(*)::int FROM opened GROUP BY scrape

-- workers/src/lookup.rs
SELECT q.scrape = ANY (ARRAY(SELECT key FROM scrapes
WHERE key = ANY ($4::int8[]) AND superseded_by IS NOT NULL)),
t.image_id IS NOT NULL, f.outcome, f.reason,
t.bytes_hash, t.tags, t.scores, t.width, t.height,
extract(epoch FROM now() - coalesce(t.validated_at, t.tagged_at))::float8,
t.url_id, t.etag, t.last_modified
FROM unnest($1::uuid[], $2::int8[], $5::uuid[]) WITH ORDINALITY AS q (image_id, scrape, url_id, n)
LEFT JOIN LATERAL (SELECT * FROM image_tags
WHERE image_id = q.image_id AND model_set = $3 LIMIT 1) t ON true
LEFT JOIN LATERAL (SELECT outcome, reason FROM image_failures
WHERE t.image_id IS NULL AND image_id = q.image_id
AND url_id = q.url_id AND until > now() LIMIT 1) f ON true
ORDER BY q.n

-- workers/src/lookup.rs
SELECT t.*
FROM unnest($1::uuid[]) AS q (bytes_hash)
CROSS JOIN LATERAL (SELECT bytes_hash, tags, scores, width, height FROM image_tags
WHERE bytes_hash = q.bytes_hash AND model_set = $2 LIMIT 1) t

-- workers/src/record.rs
WITH ended AS MATERIALIZED (
SELECT e.*, (SELECT jsonb_object_agg(f.attribute, f.value ORDER BY f.advertiser_id) FROM fixes f
WHERE f.image_id = e.image_id AND f.advertiser_id IN ('', c.advertiser_id)) AS fix
FROM unnest($1::date[], $2::int8[], $3::int4[], $4::uuid[], $5::text[], $6::text[], $7::jsonb[], $8::int4[])
AS e (day, scrape, seq, image_id, outcome, reason, tags, model_set)
JOIN scrapes c ON c.key = e.scrape
), said AS (
INSERT INTO image_tags (image_id, model_set, tags, scores, bytes_hash, width, height)
SELECT image_id, model_set, tags, scores, bytes_hash, width, height
FROM unnest($9::uuid[], $10::jsonb[], $11::jsonb[], $12::uuid[], $13::int4[], $14::int4[],
$19::int4[]) AS k (image_id, tags, scores, bytes_hash, width, height, model_set)
ON CONFLICT (image_id, model_set) DO NOTHING
), embedded AS (
INSERT INTO embeddings (bytes_hash, model_set, embedding)
SELECT bytes_hash, model_set, embedding
FROM unnest($20::uuid[], $21::int4[], $22::bytea[]) AS v (bytes_hash, model_set, embedding)
ON CONFLICT (bytes_hash, model_set) DO NOTHING
), failed AS (
INSERT INTO image_failures (image_id, url_id, outcome, reason, until)
SELECT f.image_id, f.url_id, f.outcome, f.reason, now() + $18::float8 * interval '1 second'
FROM unnest($15::uuid[], $23::uuid[], $16::text[], $17::text[]) AS f (image_id, url_id, outcome, reason)
ON CONFLICT (image_id) DO UPDATE
SET url_id = excluded.url_id, outcome = excluded.outcome, reason = excluded.reason,
until = excluded.until
), written AS (
UPDATE scrape_images s
SET outcome = e.outcome, reason = e.reason, recorded_at = now(),
model_set = CASE WHEN e.outcome = 'skipped' THEN NULL ELSE e.model_set END,
tags = e.tags || coalesce(s.configured, '{}') || coalesce(s.fix, e.fix, '{}'),
base = CASE WHEN coalesce(s.fix, e.fix, '{}') <> '{}'
THEN e.tags || coalesce(s.configured, '{}') END
FROM ended e
WHERE s.day = e.day AND s.scrape = e.scrape AND s.seq = e.seq AND s.outcome IS NULL
RETURNING s.scrape, s.outcome
)
INSERT INTO scrape_progress (scrape, outcome, images)
SELECT scrape, outcome, count(*)::int FROM written GROUP BY scrape, outcome

-- workers/src/record/validated.rs
UPDATE image_tags t
SET validated_at = now(), url_id = v.url_id, etag = v.etag, last_modified = v.last_modified,
bytes_hash = v.bytes_hash, width = v.width, height = v.height,
tags      = CASE WHEN t.bytes_hash = v.bytes_hash THEN t.tags ELSE v.tags END,
scores    = CASE WHEN t.bytes_hash = v.bytes_hash THEN t.scores ELSE v.scores END,
tagged_at = CASE WHEN t.bytes_hash = v.bytes_hash THEN t.tagged_at ELSE now() END
FROM unnest($1::uuid[], $2::int4[], $3::uuid[], $4::uuid[], $5::jsonb[], $6::jsonb[], $7::int4[],
$8::int4[], $9::uuid[], $10::text[], $11::text[])
AS v (image_id, model_set, bytes_hash, replaces, tags, scores, width, height,
url_id, etag, last_modified)
WHERE t.image_id = v.image_id AND t.model_set = v.model_set
AND t.bytes_hash IN (v.bytes_hash, v.replaces)

-- workers/src/report.rs
INSERT INTO worker_reports (worker, pool, version, model_set, digest, provider, started_at, every_seconds,
lanes, failures)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (worker) DO UPDATE
SET pool = excluded.pool, version = excluded.version, model_set = excluded.model_set,
digest = excluded.digest, provider = excluded.provider, started_at = excluded.started_at,
every_seconds = excluded.every_seconds, lanes = excluded.lanes, failures = excluded.failures,
reported_at = now()

-- workers/src/report.rs
DELETE FROM worker_reports WHERE worker = $1

-- workers/src/sets/register.rs
INSERT INTO model_sets (digest, name, feed_exclude, description, card, attributes, loaded_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
ON CONFLICT (digest) DO UPDATE
SET description = excluded.description, card = excluded.card, attributes = excluded.attributes,
loaded_at = excluded.loaded_at
RETURNING id

-- workers/src/trials.rs
UPDATE scrape_images SET trials = trials + $4
WHERE day = $1 AND scrape = $2 AND seq = $3 AND outcome IS NULL
RETURNING trials
