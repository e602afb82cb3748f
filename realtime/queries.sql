-- Every statement of the push path. `-- name: x` starts a statement; one line says what it is for.

-- name: position
-- Where the log ends, and in which epoch.
SELECT epoch::text AS epoch, last_seq AS seq FROM relay_state

-- name: read_log
-- $1 seq, $2 limit: the next rows of the log, each with the epoch that it was read in.
SELECT r.epoch::text AS epoch, l.seq, l.kind, l.at, l.wall_at, l.leg_id, l.version, l.feed,
  l.changed, l.state
FROM relay_state r, change_log l WHERE l.seq > $1 ORDER BY l.seq LIMIT $2

-- name: sequence
-- $1 batch: rows taken from the outbox into the log; -1 when another relay is at it.
SELECT sequence_changes($1)

-- name: snapshot_of_sequencer
-- What probe_outbox compares against.
SELECT pg_snapshot_xmax(snap)::text AS xmax, ARRAY(SELECT pg_snapshot_xip(snap)::text) AS xip,
  target_snap IS NOT NULL AS behind FROM relay_state

-- name: probe_outbox
-- $1 xmax, $2 xip: is there anything that sequence_changes might take? Read-only: no lock, no xid.
SELECT EXISTS (SELECT FROM change_outbox WHERE xid >= $1::text::xid8)
  OR EXISTS (SELECT FROM change_outbox WHERE xid = ANY ($2::text[]::xid8[]))

-- name: adopt_database
-- True when this is another database than the one that the log was written in (restore, failover).
SELECT adopt_database()

-- name: new_epoch
-- $1 epoch, $2 seq: a holder of a position beyond the end of the log asks for a new epoch.
SELECT new_epoch($1::text::uuid, $2)

-- name: add_reader
-- $1 name: a consumer that must not miss a row starts at the end of the log.
INSERT INTO log_reader (name, epoch, seq) SELECT $1, epoch, last_seq FROM relay_state
ON CONFLICT (name) DO NOTHING

-- name: lock_reader
-- $1 name: this reader's position, locked until the end of the transaction; no row: another has it.
SELECT l.epoch::text AS epoch, l.seq, r.epoch::text AS log_epoch, r.last_seq
FROM log_reader l, relay_state r WHERE l.name = $1 FOR UPDATE OF l SKIP LOCKED

-- name: advance_reader
-- $1 name, $2 epoch, $3 seq
UPDATE log_reader SET epoch = $2::text::uuid, seq = $3 WHERE name = $1

-- name: load_clock
-- The anchor of board time, the replay that it belongs to, and wall time.
SELECT board_at, wall_at, speed, wall_now() AS wall, r.day, r.opens, r.ends, r.again, r.over_at IS NOT NULL AS over
FROM clock LEFT JOIN replay r ON speed IS NOT NULL

-- name: load_legs
-- $1 hours: legs that a board may show now or later, as the tables have them.
SELECT leg_id, version, public_state(l) AS state FROM flight_leg l
WHERE greatest(best_dep, best_arr) > board_now() - make_interval(hours => $1)

-- name: load_leg
-- $1 leg key, or one that a leg had before: that leg as the tables have it, the epoch that it was
-- read in, and the version with which the key was left.
SELECT r.epoch::text AS epoch, l.leg_id, l.version, public_state(l) AS state, a.version AS left_at
FROM relay_state r, flight_leg l LEFT JOIN leg_alias a ON a.leg_id = l.leg_id AND a.key = $1
WHERE l.key = $1 OR a.key = $1

-- name: load_aliases
-- Keys that loaded legs had before; $1 leg ids.
SELECT key, leg_id, version FROM leg_alias WHERE leg_id = ANY ($1::bigint[])

-- name: load_unsequenced
-- Versions that the tables already hold and the log does not yet.
SELECT leg_id, max(version) AS version FROM unsequenced() WHERE kind = 'leg' GROUP BY leg_id

-- name: recent_log
-- $1 seconds, $2 rows: the newest rows of the log without a hole, oldest first; a row that a long
-- transaction wrote may be older than its neighbours.
SELECT seq, kind, at, wall_at, leg_id, version, feed, changed, state FROM change_log
WHERE seq >= (SELECT min(seq) FROM change_log
  WHERE seq > (SELECT last_seq FROM relay_state) - $2::bigint
    AND wall_at > wall_now() - make_interval(secs => $1))
ORDER BY seq

-- name: clock_before
-- $1 seq: the newest clock row at or below it.
SELECT at FROM change_log WHERE kind = 'clock' AND seq <= $1 ORDER BY seq DESC LIMIT 1

-- name: load_feeds
-- Enabled feeds that can fall silent, with the airports whose legs they stated within 36 hours, and
-- there the boards whose times they answer for: of the feeds with the most authority over the times
-- of a leg, those that lead at least half as many legs as the one that leads most.
WITH spoke AS (
  SELECT leg_id, f.feed_id, fields ?| '{std,etd,atd}' AS departs, fields ?| '{sta,eta,ata}' AS arrives,
    coalesce(d.priority, f.priority) AS dep_weight, coalesce(a.priority, f.priority) AS arr_weight
  FROM feed f JOIN leg_statement s ON s.feed_id = f.feed_id
    AND as_of > (SELECT board_now() - interval '36 hours')
  LEFT JOIN feed_authority d ON d.feed_id = f.feed_id AND d.field_group = 'dep_times'
  LEFT JOIN feed_authority a ON a.feed_id = f.feed_id AND a.field_group = 'arr_times'
  WHERE f.enabled AND f.max_silence IS NOT NULL),
led AS (
  SELECT feed_id, leg_id,
    departs AND dep_weight = max(dep_weight) FILTER (WHERE departs) OVER leg AS dep,
    arrives AND arr_weight = max(arr_weight) FILTER (WHERE arrives) OVER leg AS arr
  FROM spoke WINDOW leg AS (PARTITION BY leg_id)),
routes AS (
  SELECT feed_id, dep_airport, arr_airport, divert_airport,
    count(*) FILTER (WHERE dep) AS dep_legs, count(*) FILTER (WHERE arr) AS arr_legs
  FROM led JOIN flight_leg USING (leg_id) GROUP BY 1, 2, 3, 4),
boards AS (
  SELECT feed_id, airport, board, sum(led) AS legs
  FROM routes CROSS JOIN LATERAL (VALUES (dep_airport, 'departures', dep_legs),
    (arr_airport, 'arrivals', arr_legs), (divert_airport, 'arrivals', arr_legs))
    side (airport, board, led)
  WHERE airport IS NOT NULL GROUP BY 1, 2, 3),
answering AS (
  SELECT feed_id, airport, board,
    legs > 0 AND 2 * legs >= max(legs) OVER (PARTITION BY airport, board) AS answers FROM boards),
spoken AS (
  SELECT feed_id, airport,
    coalesce(jsonb_agg(board ORDER BY board) FILTER (WHERE answers), '[]') AS boards
  FROM answering GROUP BY 1, 2),
told AS (SELECT feed_id, jsonb_object_agg(airport, boards) AS airports FROM spoken GROUP BY 1)
SELECT f.code, f.last_seen_at, extract(epoch FROM f.max_silence)::float8 AS max_silence, f.synthetic,
  coalesce(airports, '{}') AS airports
FROM feed f LEFT JOIN told USING (feed_id)
WHERE f.enabled AND f.max_silence IS NOT NULL ORDER BY f.feed_id

-- name: lock_upkeep
-- True for the one session that does the periodic work; held until the session ends.
SELECT pg_try_advisory_lock(hashtext('gatecast upkeep'))

-- name: keep_time
-- Re-anchor a replay's clock and log the board minute when it has turned.
SELECT anchor_clock(), append_clock()

-- name: note_silence
-- $1 wall time since when feeds could be heard: the dead ones lose authority over estimates; whoever
-- speaks has it back at once (ingest), also one that may be silent for longer from now on.
UPDATE feed f SET silent = NOT silent WHERE CASE
  WHEN silent THEN max_silence IS NULL OR wall_now() - last_seen_at <= 3 * max_silence
  ELSE wall_now() - greatest(last_seen_at, $1) > 3 * max_silence END

-- name: forget_answers
-- A feed that repeats what it said a day ago says it anew.
DELETE FROM feed_message WHERE received_at < wall_now() - interval '1 day'

-- name: forget_deliveries
-- $1 days, $2 rows at once: what was due longer ago, whatever became of it. Rows deleted.
WITH old AS (
  SELECT account_id, leg_id, version FROM delivery
  WHERE due_at < (SELECT wall_now()) - make_interval(secs => $1::float8 * 86400)
  ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED),
gone AS (
  DELETE FROM delivery d USING old o
  WHERE (d.account_id, d.leg_id, d.version) = (o.account_id, o.leg_id, o.version) RETURNING 1)
SELECT count(*) FROM gone

-- name: forget_receipts
-- $1 days, $2 rows at once: of legs that ended longer ago, in board time. Rows deleted.
WITH old AS (
  SELECT r.account_id, r.leg_id FROM receipt r JOIN flight_leg l USING (leg_id)
  WHERE greatest(l.best_dep, l.best_arr)
    < (SELECT board_now()) - make_interval(secs => $1::float8 * 86400)
  LIMIT $2 FOR UPDATE OF r SKIP LOCKED),
gone AS (
  DELETE FROM receipt r USING old o
  WHERE (r.account_id, r.leg_id) = (o.account_id, o.leg_id) RETURNING 1)
SELECT count(*) FROM gone

-- name: forget_follows
-- $1 days, $2 rows at once: of legs that ended longer ago, in board time. Rows deleted.
WITH old AS (
  SELECT f.account_id, f.leg_id FROM follow f JOIN flight_leg l USING (leg_id)
  WHERE greatest(l.best_dep, l.best_arr)
    < (SELECT board_now()) - make_interval(secs => $1::float8 * 86400)
  LIMIT $2 FOR UPDATE OF f SKIP LOCKED),
gone AS (
  DELETE FROM follow f USING old o
  WHERE (f.account_id, f.leg_id) = (o.account_id, o.leg_id) RETURNING 1)
SELECT count(*) FROM gone

-- name: forget_devices
-- $1 days, $2 rows at once: that have taken nothing for longer, nor were registered. Rows deleted.
WITH old AS (
  SELECT device_id FROM device WHERE greatest(refreshed_at, last_ok_at)
    < (SELECT wall_now()) - make_interval(secs => $1::float8 * 86400)
  LIMIT $2 FOR UPDATE SKIP LOCKED),
gone AS (DELETE FROM device v USING old o WHERE v.device_id = o.device_id RETURNING 1)
SELECT count(*) FROM gone

-- name: forget_links
-- $1 days, $2 rows at once. Rows deleted.
WITH old AS (
  SELECT link_id FROM account_link
  WHERE created_at < (SELECT wall_now()) - make_interval(secs => $1::float8 * 86400)
  LIMIT $2 FOR UPDATE SKIP LOCKED),
gone AS (DELETE FROM account_link k USING old o WHERE k.link_id = o.link_id RETURNING 1)
SELECT count(*) FROM gone

-- name: forget_history
-- $1 days, $2 rows at once: changes made longer ago, in board time. Rows deleted.
SELECT prune_history(make_interval(secs => $1::float8 * 86400), $2)

-- name: keep_partitions
-- Partitions ahead of the writers, and away with those that nobody needs; $1 days of log are kept.
SELECT add_partitions() AS added, drop_drained_partitions() AS drained,
  prune_log(make_interval(days => $1)) AS pruned

-- name: start_replay
-- $1 board time, $2 speed
SELECT start_replay($1, $2)

-- name: record_replay
-- $1 day, $2 airports, $3 opens, $4 ends, $5 again: what is replayed; none when it is another one.
INSERT INTO replay (day, airports, opens, ends, again) VALUES ($1, $2::text[], $3, $4, $5)
ON CONFLICT (only_row) DO UPDATE
  SET (ends, again, over_at) = (excluded.ends, excluded.again, NULL)
  WHERE (replay.day, replay.airports) = (excluded.day, excluded.airports)
RETURNING only_row

-- name: recorded_replay
SELECT day, airports FROM replay

-- name: end_replay
UPDATE replay SET over_at = wall_now()

-- name: board_now
SELECT board_now()

-- name: feed_said
-- $1 code: board time of the newest statement of a feed.
SELECT last_source_ts FROM feed WHERE code = $1

-- name: add_airport
INSERT INTO airport (iata, icao, name, city, country, tz, lat, lon)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (iata) DO UPDATE SET (icao, name, city, country, tz, lat, lon, placeholder)
  = (excluded.icao, excluded.name, excluded.city, excluded.country, excluded.tz, excluded.lat,
     excluded.lon, false) WHERE airport.placeholder

-- name: add_airline
INSERT INTO airline (iata, name) VALUES ($1, $2) ON CONFLICT (iata) DO NOTHING

-- deliveries

-- name: lock_receipts_shared
-- Receipts go side by side; none goes beside an enqueueing notifier (lock_receipts).
SELECT pg_advisory_xact_lock_shared(hashtextextended('gatecast.receipt', 0))

-- name: lock_receipts
-- Until the end of the transaction no receipt is recorded.
SELECT pg_advisory_xact_lock(hashtextextended('gatecast.receipt', 0))

-- name: known_versions
-- $1 leg keys
SELECT key, leg_id, version FROM flight_leg WHERE key = ANY ($1::text[]) ORDER BY leg_id

-- name: raise_receipts
-- $1 account, $2 epoch, $3 attentive, $4 legs, $5 versions; another epoch's receipt is replaced.
INSERT INTO receipt (account_id, leg_id, epoch, version, attentive_version)
SELECT $1::text::uuid, leg_id, $2::text::uuid, version, CASE WHEN $3 THEN version ELSE 0 END
FROM unnest($4::bigint[], $5::bigint[]) AS displayed (leg_id, version) ORDER BY leg_id
ON CONFLICT (account_id, leg_id) DO UPDATE SET epoch = excluded.epoch, at = wall_now(),
  version = CASE WHEN receipt.epoch = excluded.epoch
    THEN greatest(receipt.version, excluded.version) ELSE excluded.version END,
  attentive_version = CASE WHEN receipt.epoch = excluded.epoch
    THEN greatest(receipt.attentive_version, excluded.attentive_version)
    ELSE excluded.attentive_version END

-- name: settle
-- $1 account, $2 legs: open deliveries that the account's receipts cover; of each leg how many there
-- were, and up to which version all is seen.
WITH covered AS (
  SELECT d.account_id, d.leg_id, d.version FROM delivery d JOIN receipt r USING (account_id, leg_id)
  WHERE d.account_id = $1::text::uuid AND d.leg_id = ANY ($2::bigint[])
    AND d.state IN ('held','pending','claimed')
    AND d.version > 0 AND d.version <= CASE WHEN d.urgent THEN r.attentive_version ELSE r.version END
  ORDER BY d.account_id, d.leg_id, d.version FOR UPDATE OF d),
settled AS (
  UPDATE delivery d SET state = 'seen', reason = 'receipt', done_at = wall_now(),
    worker = NULL, lease_until = NULL, answers = NULL
  FROM covered c WHERE (d.account_id, d.leg_id, d.version) = (c.account_id, c.leg_id, c.version)
  RETURNING d.leg_id, d.version, d.urgent)
SELECT r.leg_id, count(s.version) AS settled, greatest(r.attentive_version, max(s.version) FILTER (
    WHERE NOT EXISTS (SELECT FROM delivery o WHERE o.account_id = r.account_id
      AND o.leg_id = r.leg_id AND o.state IN ('held','pending','claimed')
      AND o.urgent AND o.version < s.version AND o.version > r.attentive_version))) AS seen
FROM receipt r LEFT JOIN settled s USING (leg_id)
WHERE r.account_id = $1::text::uuid AND r.leg_id = ANY ($2::bigint[])
GROUP BY r.account_id, r.leg_id, r.attentive_version

-- name: tell_seen
-- $1 account, $2 legs, $3 versions, $4 fields: who displayed a version knows what it showed: what
-- the leg shows now, but for what has changed since.
WITH known AS (
  SELECT f.account_id, f.leg_id, s.version FROM follow f
  JOIN unnest($2::bigint[], $3::bigint[]) AS s (leg_id, version) USING (leg_id)
  WHERE f.account_id = $1::text::uuid
    AND s.version >= coalesce((f.told ->> 'version')::bigint, 0)
  ORDER BY f.leg_id FOR NO KEY UPDATE OF f),
shown AS (
  SELECT k.account_id, k.leg_id, jsonb_build_object('version', k.version) || coalesce(
    (SELECT jsonb_object_agg(field, value) FROM unnest($4::text[]) AS field,
     LATERAL (SELECT coalesce(
       (SELECT c.changed -> field -> 0 FROM leg_change c WHERE c.leg_id = k.leg_id
          AND c.version > k.version AND c.changed ? field ORDER BY c.version LIMIT 1),
       state -> field) AS value) v
     WHERE value <> 'null'), '{}') AS told
  FROM known k JOIN flight_leg l USING (leg_id)
  CROSS JOIN LATERAL (SELECT public_state(l) AS state OFFSET 0) p)
UPDATE follow f SET told = s.told FROM shown s
WHERE (f.account_id, f.leg_id) = (s.account_id, s.leg_id) AND f.told IS DISTINCT FROM s.told

-- name: enqueue
-- $1 leg, $2 version, $3 seq, $4 kinds, $5 urgent, $6 held until, $7 expires at, $8 wall commit,
-- $9 grace, $10 epoch, $11 what this version shows: one delivery for each follower who wants one of
-- the kinds, none where there is one; it is seen when a receipt covers it. Rows added.
WITH added AS (
  INSERT INTO delivery (account_id, leg_id, version, seq, kinds, urgent, held_until, expires_at,
    due_at, state, done_at, reason)
  SELECT f.account_id, f.leg_id, $2, $3, $4::text[], $5, $6, $7,
    $8::timestamptz + make_interval(secs => $9),
    CASE WHEN s.seen THEN 'seen' WHEN $6 > board_now() THEN 'held' ELSE 'pending' END,
    CASE WHEN s.seen THEN wall_now() END,
    CASE WHEN s.seen THEN 'receipt before the delivery' END
  FROM follow f JOIN account a USING (account_id)
  LEFT JOIN receipt r ON r.account_id = f.account_id AND r.leg_id = f.leg_id
    AND r.epoch = $10::text::uuid
  CROSS JOIN LATERAL (SELECT coalesce(
    $2 <= CASE WHEN $5 THEN r.attentive_version ELSE r.version END, false) AS seen) s
  WHERE f.leg_id = $1 AND f.kinds && $4::text[] ORDER BY f.account_id
  FOR KEY SHARE OF a            -- an account that is just being deleted is waited for, then left out
  ON CONFLICT DO NOTHING RETURNING account_id, leg_id, state),
told AS (
  UPDATE follow f SET told = $11::text::jsonb FROM added a
  WHERE a.state = 'seen' AND (f.account_id, f.leg_id) = (a.account_id, a.leg_id)
    AND coalesce((f.told ->> 'version')::bigint, 0) < $2
    AND NOT EXISTS (SELECT FROM delivery o WHERE o.account_id = f.account_id
      AND o.leg_id = f.leg_id AND o.state IN ('held','pending','claimed') AND o.urgent))
SELECT count(*) FROM added

-- name: enqueue_occasion
-- $1 leg, $2 seq of what calls for it, $3 kind, $4 held until, $5 expires at, $6 wall commit, $7
-- grace: one delivery for each follower who wants it and has not had it. Rows added.
WITH added AS (
  INSERT INTO delivery (account_id, leg_id, version, seq, kinds, urgent, held_until, expires_at,
    due_at, state)
  SELECT f.account_id, f.leg_id, -$2::bigint, $2, ARRAY[$3::text], false, $4, $5,
    $6::timestamptz + make_interval(secs => $7),
    CASE WHEN $4 > board_now() THEN 'held' ELSE 'pending' END
  FROM follow f JOIN account a USING (account_id)
  WHERE f.leg_id = $1 AND $3 = ANY (f.kinds) AND f.role = 'passenger' AND NOT EXISTS (
    SELECT FROM delivery d WHERE d.account_id = f.account_id AND d.leg_id = f.leg_id
      AND $3 = ANY (d.kinds) AND d.state <> 'superseded')
  ORDER BY f.account_id FOR KEY SHARE OF a
  ON CONFLICT DO NOTHING RETURNING 1)
SELECT count(*) FROM added

-- name: closing_desks
-- $1 board minute, $2 seconds: legs whose check-in closes within so many.
SELECT leg_id, check_in_close_at FROM flight_leg
WHERE check_in_close_at > greatest($1, board_now())
  AND check_in_close_at <= $1 + make_interval(secs => $2)
  AND NOT hidden AND irregularity NOT IN ('cancelled','not_operating') AND atd IS NULL

-- name: next_of_aircraft
-- $1 legs: of each the next one that its aircraft flies, as both are now.
SELECT DISTINCT ON (i.leg_id) i.leg_id AS inbound_id, public_state(i) AS inbound, o.leg_id,
  public_state(o) AS leg
FROM flight_leg i JOIN flight_leg o ON o.registration = i.registration
  AND o.dep_airport = i.arr_airport AND o.std > i.sta AND o.std < i.std + interval '1 day'
WHERE i.leg_id = ANY ($1::bigint[])
  AND i.leg_id = (SELECT leg_id FROM inbound_of(o)) AND NOT o.hidden
ORDER BY i.leg_id, o.std

-- name: follow_on
-- $1 legs, $2 fields: who follows a diverted leg follows the leg of its number that goes on from
-- there to where it was planned; one of the two is among the legs. They know it as it is.
INSERT INTO follow (account_id, leg_id, role, number, kinds, told)
SELECT f.account_id, n.leg_id, f.role, f.number, f.kinds, coalesce(
  (SELECT jsonb_object_agg(field, state -> field) FROM unnest($2::text[]) AS field
   WHERE state ? field), '{}') || jsonb_build_object('version', n.version)
FROM flight_leg d JOIN flight_leg n
  ON (n.airline, n.flight_no, n.suffix) = (d.airline, d.flight_no, d.suffix)
  AND n.dep_airport = d.divert_airport AND n.arr_airport = d.arr_airport
  AND n.origin_date BETWEEN d.origin_date AND d.origin_date + 1
CROSS JOIN LATERAL (SELECT public_state(n) AS state OFFSET 0) p
JOIN follow f ON f.leg_id = d.leg_id JOIN account a USING (account_id)
WHERE d.irregularity = 'diverted' AND NOT n.hidden
  AND (d.leg_id = ANY ($1::bigint[]) OR n.leg_id = ANY ($1::bigint[]))
ORDER BY f.account_id, n.leg_id FOR KEY SHARE OF a
ON CONFLICT DO NOTHING

-- name: erased_accounts
-- $1 accounts: those of them that are no more.
SELECT coalesce(array_agg(id), '{}') FROM unnest($1::text[]) AS id
WHERE NOT EXISTS (SELECT FROM account WHERE account_id = id::uuid)

-- name: release_leases
-- Deliveries whose worker was not heard of until the end of its lease.
WITH over AS (
  SELECT account_id, leg_id, version FROM delivery WHERE state = 'claimed'
    AND lease_until < (SELECT wall_now())
  ORDER BY account_id, leg_id, version FOR UPDATE SKIP LOCKED)
UPDATE delivery d SET state = CASE WHEN held_until > board_now() THEN 'held' ELSE 'pending' END,
  reason = 'the lease ran out', worker = NULL, lease_until = NULL
FROM over o WHERE (d.account_id, d.leg_id, d.version) = (o.account_id, o.leg_id, o.version)

-- name: claim
-- $1 worker, $2 lease in s, $3 limit: all open deliveries of so many (account, leg) with a due one
-- and none claimed, urgent ones first. A group of which another claim or a receipt has a row locked
-- is left for the next time.
WITH due AS (
  SELECT account_id, leg_id FROM (
    SELECT account_id, leg_id, urgent, due_at FROM delivery d
    WHERE state IN ('held','pending') AND due_at <= (SELECT wall_now())
      AND (held_until IS NULL OR held_until <= (SELECT board_now())) AND NOT EXISTS (
        SELECT FROM delivery c WHERE c.account_id = d.account_id AND c.leg_id = d.leg_id
          AND c.state = 'claimed')
    ORDER BY urgent DESC, due_at LIMIT 4 * $3::integer) d
  GROUP BY account_id, leg_id
  ORDER BY bool_or(urgent) DESC, min(due_at), account_id, leg_id LIMIT $3),
locked AS MATERIALIZED (
  SELECT d.account_id, d.leg_id, d.version FROM delivery d JOIN due USING (account_id, leg_id)
  WHERE d.state IN ('held','pending') ORDER BY d.account_id, d.leg_id, d.version
  FOR UPDATE OF d SKIP LOCKED),
whole AS MATERIALIZED (
  SELECT account_id, leg_id FROM locked l GROUP BY account_id, leg_id
  HAVING count(*) = (SELECT count(*) FROM delivery d WHERE d.account_id = l.account_id
    AND d.leg_id = l.leg_id AND d.state IN ('held','pending')))
UPDATE delivery d SET state = 'claimed', worker = $1, attempts = d.attempts + 1,
  lease_until = wall_now() + make_interval(secs => $2)
FROM locked l JOIN whole USING (account_id, leg_id)
WHERE (d.account_id, d.leg_id, d.version) = (l.account_id, l.leg_id, l.version)
RETURNING d.account_id, d.leg_id, d.version

-- name: load_claimed
-- $1 worker: what it has claimed, newest first within a leg, with all that decides: the leg, the
-- clock, the feed of the change, the follower with what rang in the last 20 minutes or is said once,
-- the devices and whether alerts are off on another, the version that a screen of the account has
-- shown, the legs that bear on this one; and the wall clock, and how many seconds of the lease are
-- left. The state of a leg is built once.
WITH legs AS MATERIALIZED (
  SELECT l.leg_id, public_state(l) AS state FROM flight_leg l
  WHERE l.leg_id IN (SELECT leg_id FROM delivery WHERE state = 'claimed' AND worker = $1))
SELECT d.account_id, d.leg_id, d.version, d.seq, d.kinds, d.urgent, d.held_until, d.expires_at,
  d.due_at, d.attempts, d.reason, d.answers,
  extract(epoch FROM d.lease_until - wall_now())::float8 AS lease_left, wall_now() AS wall_at,
  p.state AS leg, board_now() AS board_at, c.speed,
  (SELECT epoch::text FROM relay_state) AS epoch,
  coalesce(s.last_seen_at < wall_now() - 3 * s.max_silence, false) AS feed_dead,
  coalesce((SELECT r.version FROM receipt r WHERE (r.account_id, r.leg_id)
     = (d.account_id, d.leg_id) AND r.epoch = (SELECT epoch FROM relay_state)), 0) AS shown,
  CASE WHEN d.version > 0 THEN coalesce(g.changed, '{}') ELSE '{}' END AS changed,
  CASE WHEN 'inbound_late' = ANY (d.kinds) THEN
    (SELECT public_state(i) FROM inbound_of(l) i) END AS inbound,
  CASE WHEN 'connection_risk' = ANY (d.kinds) THEN (
    SELECT public_state(o) FROM follow h JOIN flight_leg o USING (leg_id)
    WHERE h.account_id = d.account_id AND h.role = 'passenger' AND o.dep_airport = l.arr_airport
      AND o.std > l.std AND o.std < l.sta + interval '12 hours' AND o.sta > l.sta
    ORDER BY o.std LIMIT 1) END AS onward,
  f.role, f.number, f.told, a.preferences,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('kind', k, 'at', utc(n.said_at))
     ORDER BY n.said_at), '[]') FROM delivery n, unnest(n.said) AS k
   WHERE (n.account_id, n.leg_id) = (d.account_id, d.leg_id)
     AND (n.said_at > board_now() - interval '20 minutes'
       OR n.said && '{inbound_late,connection_risk,check_in_closing}')) AS rung,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('device_id', v.device_id, 'platform', v.platform,
     'kind', v.kind, 'target', v.target) ORDER BY v.created_at), '[]')
   FROM device v WHERE v.account_id = d.account_id AND v.dead_at IS NULL AND v.alerts) AS targets,
  EXISTS (SELECT FROM device v WHERE v.account_id = d.account_id AND v.dead_at IS NULL
    AND NOT v.alerts) AS muted
FROM delivery d JOIN flight_leg l USING (leg_id) JOIN legs p USING (leg_id)
JOIN account a USING (account_id) CROSS JOIN clock c
LEFT JOIN follow f USING (account_id, leg_id)
LEFT JOIN change_log g ON g.seq = d.seq LEFT JOIN feed s ON s.code = g.feed
WHERE d.state = 'claimed' AND d.worker = $1
WINDOW one AS (PARTITION BY d.account_id, d.leg_id)
ORDER BY bool_or(d.urgent) OVER one DESC, min(d.due_at) OVER one, d.account_id, d.leg_id,
  d.version DESC

-- name: cancellations
-- $1 legs, $2 seconds of board time: those that a feed cancelled so lately, their airports, and
-- whether it has said so again since or another feed says so too.
SELECT l.leg_id, c.at, ARRAY[l.dep_airport, l.arr_airport] AS airports, EXISTS (
    SELECT FROM leg_statement s JOIN feed f USING (feed_id)
    WHERE s.leg_id = l.leg_id AND f.enabled
      AND s.fields #>> '{irregularity,0}' IN ('cancelled','not_operating')
      AND (f.code <> c.feed OR (s.fields #>> '{irregularity,1}')::timestamptz > c.source_ts)
  ) AS confirmed
FROM flight_leg l CROSS JOIN LATERAL (
  SELECT at, feed, source_ts FROM leg_change g WHERE g.leg_id = l.leg_id
    AND g.changed #>> '{irregularity,1}' IN ('cancelled','not_operating')
  ORDER BY version DESC LIMIT 1) c
WHERE l.leg_id = ANY ($1::bigint[]) AND l.irregularity IN ('cancelled','not_operating')
  AND c.at > board_now() - make_interval(secs => $2) AND c.feed <> 'operator'

-- name: crowds
-- $1 airports, $2 seconds of board time: of each the legs of the next day, when feeds cancelled some
-- of them in this time, and what the operator has ruled.
WITH near AS (
  SELECT dep_airport AS airport, leg_id, irregularity FROM flight_leg
  WHERE dep_airport = ANY ($1::text[]) AND NOT hidden
    AND best_dep > board_now() - make_interval(secs => $2)
    AND best_dep <= board_now() + interval '1 day'
  UNION ALL
  SELECT arr_airport, leg_id, irregularity FROM flight_leg
  WHERE arr_airport = ANY ($1::text[]) AND NOT hidden
    AND best_arr > board_now() - make_interval(secs => $2)
    AND best_arr <= board_now() + interval '1 day')
SELECT n.airport, count(*) AS upcoming,
  coalesce(array_agg(c.at ORDER BY c.at) FILTER (WHERE c.at IS NOT NULL), '{}') AS cancelled,
  r.tell, r.since, r.until
FROM near n LEFT JOIN LATERAL (
  SELECT at FROM leg_change g WHERE n.irregularity IN ('cancelled','not_operating')
    AND g.leg_id = n.leg_id AND g.changed #>> '{irregularity,1}' IN ('cancelled','not_operating')
    AND g.at > board_now() - make_interval(secs => $2) AND g.feed <> 'operator'
  ORDER BY version DESC LIMIT 1) c ON true
LEFT JOIN cancellation_ruling r USING (airport)
GROUP BY n.airport, r.tell, r.since, r.until

-- name: record
-- $1 worker, $2 results as JSON: the end of each delivery that is still this worker's, or when it is
-- to be claimed again: in so many wall seconds, or at a board time. Those written down.
WITH result AS (
  SELECT * FROM jsonb_to_recordset($2::text::jsonb) AS t (account_id uuid, leg_id bigint,
    version bigint, state text, reason text, retry_in float8, held_until timestamptz, said text[],
    answers jsonb)),
mine AS (
  SELECT d.account_id, d.leg_id, d.version, r.state, r.reason, r.retry_in, r.held_until, r.said,
    r.answers
  FROM delivery d JOIN result r USING (account_id, leg_id, version)
  WHERE d.state = 'claimed' AND d.worker = $1
  ORDER BY d.account_id, d.leg_id, d.version FOR UPDATE OF d),
recorded AS (
  UPDATE delivery d SET state = m.state, reason = m.reason, lease_until = NULL,
    worker = CASE WHEN m.state NOT IN ('held','pending') THEN $1 END,
    done_at = CASE WHEN m.state NOT IN ('held','pending') THEN wall_now() END,
    due_at = CASE WHEN m.retry_in IS NOT NULL THEN wall_now() + make_interval(secs => m.retry_in)
             ELSE d.due_at END,
    held_until = coalesce(m.held_until, d.held_until),
    attempts = d.attempts - (m.state = 'held')::integer,
    said = coalesce(m.said, d.said),
    said_at = CASE WHEN m.said <> '{}' THEN board_now() ELSE d.said_at END,
    answers = CASE WHEN m.state IN ('held','pending') THEN coalesce(m.answers, d.answers) END
  FROM mine m WHERE (d.account_id, d.leg_id, d.version) = (m.account_id, m.leg_id, m.version)
  RETURNING d.account_id, d.leg_id, d.version, d.state)
SELECT account_id, leg_id, version, state FROM recorded

-- name: tell_sent
-- $1 what followers know now as JSON: [{account_id, leg_id, before, told}]; what they learned
-- meanwhile from a newer version stands.
WITH sent AS (
  SELECT f.account_id, f.leg_id, t.told FROM follow f
  JOIN jsonb_to_recordset($1::text::jsonb) AS t (account_id uuid, leg_id bigint, before jsonb,
    told jsonb) USING (account_id, leg_id)
  WHERE f.told = t.before OR coalesce((f.told ->> 'version')::bigint, 0)
    < (t.told ->> 'version')::bigint
  ORDER BY f.account_id, f.leg_id FOR NO KEY UPDATE OF f)
UPDATE follow f SET told = s.told FROM sent s
WHERE (f.account_id, f.leg_id) = (s.account_id, s.leg_id)

-- name: note_devices
-- $1 devices, $2 targets, $3 why it is dead or null when it took a notice, $4 when that was asked: a
-- device that has registered again since, or another target, is left alone.
WITH answer AS (
  SELECT device_id, target, max(dead_reason) AS dead_reason
  FROM unnest($1::text[]::uuid[], $2::text[], $3::text[]) AS t (device_id, target, dead_reason)
  GROUP BY device_id, target),
locked AS (
  SELECT v.device_id, a.dead_reason FROM device v JOIN answer a USING (device_id, target)
  WHERE v.dead_at IS NULL AND (a.dead_reason IS NULL OR v.refreshed_at < $4) ORDER BY v.device_id FOR UPDATE OF v)
UPDATE device v SET dead_reason = l.dead_reason,
  dead_at = CASE WHEN l.dead_reason IS NOT NULL THEN wall_now() END,
  last_ok_at = CASE WHEN l.dead_reason IS NULL THEN wall_now() ELSE v.last_ok_at END
FROM locked l WHERE v.device_id = l.device_id

-- test notices

-- name: claim_tests
-- $1 worker, $2 lease in s, $3 limit: also those whose worker was not heard of until its lease ended.
WITH due AS (
  SELECT notice_id FROM test_notice WHERE expires_at > (SELECT wall_now())
    AND (state = 'pending' OR state = 'claimed' AND lease_until < (SELECT wall_now()))
  ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE test_notice n SET state = 'claimed', worker = $1,
  lease_until = wall_now() + make_interval(secs => $2)
FROM due WHERE n.notice_id = due.notice_id
RETURNING n.notice_id

-- name: load_tests
-- $1 worker: what it has claimed, with the preferences and the devices of the account.
SELECT n.notice_id::text, n.created_at, a.preferences, board_now() AS board_at, c.speed,
  wall_now() AS wall_at, extract(epoch FROM n.lease_until - wall_now())::float8 AS lease_left,
  extract(epoch FROM n.expires_at - wall_now())::float8 AS left,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('device_id', v.device_id, 'platform', v.platform,
     'kind', v.kind, 'target', v.target) ORDER BY v.created_at), '[]')
   FROM device v WHERE v.account_id = n.account_id AND v.dead_at IS NULL AND v.alerts) AS targets,
  EXISTS (SELECT FROM device v WHERE v.account_id = n.account_id AND v.dead_at IS NULL
    AND NOT v.alerts) AS muted
FROM test_notice n JOIN account a USING (account_id) CROSS JOIN clock c
WHERE n.state = 'claimed' AND n.worker = $1 ORDER BY n.created_at

-- name: record_tests
-- $1 worker, $2 what became of them as JSON, of those that are still this worker's.
UPDATE test_notice n SET state = r.state, reason = r.reason, devices = r.devices,
  done_at = wall_now(), lease_until = NULL
FROM jsonb_to_recordset($2::text::jsonb) AS r (notice_id uuid, state text, reason text,
  devices jsonb)
WHERE n.notice_id = r.notice_id AND n.state = 'claimed' AND n.worker = $1

-- name: forget_tests
-- $1 days, $2 batch
WITH old AS (
  SELECT notice_id FROM test_notice WHERE created_at < wall_now() - make_interval(secs => $1 * 86400)
  LIMIT $2 FOR UPDATE SKIP LOCKED),
gone AS (DELETE FROM test_notice n USING old o WHERE n.notice_id = o.notice_id RETURNING 1)
SELECT count(*) FROM gone

-- metrics: each row is a name, its labels, a value

-- name: measure_log
SELECT 'log_end_seq' AS name, '{}'::text[] AS labels, last_seq::float8 AS value FROM relay_state

-- name: measure_readers
SELECT 'reader_lag_rows' AS name, ARRAY[l.name] AS labels,
  greatest(0, r.last_seq - l.seq)::float8 AS value FROM log_reader l, relay_state r
UNION ALL SELECT 'outbox_rows', '{}', count(*) FROM unsequenced()

-- name: measure_deliveries
WITH due AS (
  SELECT due_at FROM delivery WHERE state = 'pending' AND due_at <= (SELECT wall_now()) LIMIT 100000)
SELECT 'deliveries_due' AS name, '{}'::text[] AS labels, count(*)::float8 AS value FROM due
UNION ALL SELECT 'delivery_due_age_seconds', '{}',
  coalesce(extract(epoch FROM wall_now() - min(due_at)), 0)::float8 FROM due
UNION ALL SELECT 'deliveries_leased', '{}', count(*) FROM delivery WHERE state = 'claimed'

-- name: measure_upkeep
SELECT 'clock_row_age_seconds' AS name, '{}'::text[] AS labels,
  extract(epoch FROM wall_now() - wall_at)::float8 AS value
FROM (SELECT wall_at FROM change_log WHERE kind = 'clock' ORDER BY seq DESC LIMIT 1) newest
UNION ALL SELECT 'log_partitions', ARRAY[of_table], count(*) FROM log_partition GROUP BY of_table
UNION ALL SELECT 'log_room_rows', ARRAY[of_table],
  max(upper_end) - CASE of_table WHEN 'change_log' THEN max(last_seq) ELSE max(max_id) END
  FROM log_partition, relay_state GROUP BY of_table
UNION ALL SELECT 'feed_silence_seconds', ARRAY[code],
  extract(epoch FROM wall_now() - last_seen_at)::float8
  FROM feed WHERE enabled AND max_silence IS NOT NULL AND last_seen_at IS NOT NULL
UNION ALL SELECT 'feed_state', ARRAY[code, state], (state = CASE
    WHEN last_seen_at IS NULL OR wall_now() - last_seen_at > 3 * max_silence THEN 'dead'
    WHEN wall_now() - last_seen_at > max_silence THEN 'late' ELSE 'fresh' END)::int
  FROM feed CROSS JOIN unnest('{fresh,late,dead}'::text[]) AS state
  WHERE enabled AND max_silence IS NOT NULL
