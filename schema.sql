-- Gatecast schema, PostgreSQL 15 to 18. COMMIT publishes: whatever changes a visible column of
-- flight_leg, from whatever client, ends in change_outbox in the same transaction, gets a dense
-- seq in change_log, and reaches every screen and every follower.
--
-- Board time (board_now) is what flights live in; in a replay it is anchored and scaled. Wall time
-- (wall_now) is for machines. Nothing here reads any other clock.

CREATE TABLE schema_version (
  version    integer PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO schema_version (version) VALUES (2);

-- Time --------------------------------------------------------------------------------------------

CREATE FUNCTION wall_now() RETURNS timestamptz LANGUAGE sql VOLATILE
  RETURN clock_timestamp();

CREATE TABLE clock (                                -- one row; speed NULL: board time is wall time
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  board_at timestamptz NOT NULL,
  wall_at  timestamptz NOT NULL,
  speed    double precision CHECK (speed > 0),
  minute   timestamptz NOT NULL DEFAULT '-infinity');    -- board minute of the newest clock row
INSERT INTO clock (board_at, wall_at) VALUES (wall_now(), wall_now());

CREATE TABLE replay (                               -- at most one row: what that clock replays
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  day      text        NOT NULL,                    -- 2013-03-08, or its first and last day
  airports text[]      NOT NULL,
  opens    timestamptz NOT NULL,                    -- board time, as `ends`: of the last change
  ends     timestamptz NOT NULL,
  again    boolean     NOT NULL,                    -- it starts over after its end
  over_at  timestamptz);                            -- wall time at which all of it was told

-- A replay's clock runs at most 5 s ahead of its last anchor: a dead server stops time.
CREATE FUNCTION board_now() RETURNS timestamptz LANGUAGE sql VOLATILE
  RETURN (SELECT CASE WHEN speed IS NULL THEN wall_now()
                 ELSE board_at + least(wall_now() - wall_at, interval '5 s') * speed END
          FROM clock);

CREATE FUNCTION anchor_clock() RETURNS void LANGUAGE sql
BEGIN ATOMIC
  UPDATE clock SET board_at = board_now(), wall_at = wall_now() WHERE speed IS NOT NULL;
END;

CREATE FUNCTION utc(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');

-- Reference ---------------------------------------------------------------------------------------

CREATE TABLE airline (
  iata text PRIMARY KEY CHECK (iata ~ '^[A-Z0-9]{2,3}$'),
  icao text CHECK (icao ~ '^[A-Z]{3}$'),
  name text NOT NULL);

CREATE TABLE airport (
  iata        text PRIMARY KEY CHECK (iata ~ '^[A-Z]{3}$'),
  icao        text CHECK (icao ~ '^[A-Z0-9]{4}$'),
  name        text NOT NULL,
  city        text NOT NULL DEFAULT '',
  country     text NOT NULL DEFAULT '',
  tz          text NOT NULL DEFAULT 'UTC',
  lat double precision, lon double precision,
  placeholder boolean NOT NULL DEFAULT false);      -- made by ingest for a code nobody had told us

CREATE TABLE feed (
  feed_id        smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code           text NOT NULL UNIQUE CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,31}$'),
  party          text NOT NULL CHECK (party IN ('airline','airport','atc','tracker','operator')),
  priority       smallint NOT NULL DEFAULT 100,     -- higher wins
  synthetic      boolean NOT NULL DEFAULT false,    -- every screen must say so
  max_silence    interval DEFAULT '5 min',          -- NULL: never late
  refresh        interval,                          -- period of full restatements, if it has one
  last_seen_at   timestamptz,                       -- wall time of the last patch or heartbeat
  last_source_ts timestamptz,                       -- board time of the newest statement
  enabled        boolean NOT NULL DEFAULT true,
  silent         boolean NOT NULL DEFAULT false,    -- dead: its estimates yield; kept by upkeep
  legs_taken     bigint  NOT NULL DEFAULT 0,        -- words on legs since it was registered
  legs_refused   bigint  NOT NULL DEFAULT 0,
  last_complaint text,
  last_complaint_at timestamptz);                   -- wall time
INSERT INTO feed (code, party, priority, max_silence) VALUES ('operator', 'operator', 1000, NULL);

CREATE TABLE feed_unknown (                         -- words and codes of a feed without a meaning here
  feed_id smallint NOT NULL REFERENCES feed ON DELETE CASCADE,
  word    text     NOT NULL,                        -- what it is and itself: 'status XYZ'
  times   bigint   NOT NULL,
  last_at timestamptz NOT NULL DEFAULT wall_now(),
  PRIMARY KEY (feed_id, word));

CREATE TABLE feed_authority (                       -- overrides feed.priority for a group of fields
  feed_id     smallint NOT NULL REFERENCES feed ON DELETE CASCADE,
  field_group text NOT NULL CHECK (field_group IN ('schedule','irregularity','dep_times','movement',
    'arr_times','dep_resources','arr_resources','baggage','equipment','identity')),
  priority    smallint NOT NULL,
  PRIMARY KEY (feed_id, field_group));

-- Flight legs -------------------------------------------------------------------------------------

CREATE FUNCTION leg_key(airline text, flight_no smallint, suffix text, origin_date date,
                        dep text, arr text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN airline || flight_no || suffix
    || '-' || lpad(extract(year FROM origin_date)::integer::text, 4, '0')
    || '-' || lpad(extract(month FROM origin_date)::integer::text, 2, '0')
    || '-' || lpad(extract(day FROM origin_date)::integer::text, 2, '0')
    || '-' || dep || '-' || arr;

CREATE TABLE flight_leg (
  leg_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  airline      text     NOT NULL CHECK (airline ~ '^[A-Z0-9]{2,3}$'),
  flight_no    smallint NOT NULL CHECK (flight_no BETWEEN 1 AND 9999),
  suffix       text     NOT NULL DEFAULT '' CHECK (suffix ~ '^[A-Z]?$'),
  origin_date  date     NOT NULL,                   -- local date at the flight's first airport
  dep_airport  text     NOT NULL REFERENCES airport,
  arr_airport  text     NOT NULL REFERENCES airport,
  key          text     NOT NULL GENERATED ALWAYS AS
    (leg_key(airline, flight_no, suffix, origin_date, dep_airport, arr_airport)) STORED UNIQUE,
  repeat_no    smallint NOT NULL DEFAULT 1 CHECK (repeat_no BETWEEN 1 AND 99),
  service_type text CHECK (service_type ~ '^[A-Z]$'),
  codeshares   jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(codeshares) = 'array'),
  -- times: scheduled, estimated, actual
  std timestamptz, std_initial timestamptz, etd timestamptz, atd timestamptz, atot timestamptz,
  sta timestamptz, sta_initial timestamptz, eta timestamptz, eldt timestamptz,
  aldt timestamptz, ata timestamptz,
  -- departure side
  dep_terminal text, dep_gate text, dep_gate_was text, dep_gate_at timestamptz, dep_stand text,
  check_in_from text, check_in_to text,
  check_in_open_at timestamptz, check_in_close_at timestamptz, gate_open_at timestamptz,
  boarding_plan timestamptz, boarding_est timestamptz, boarding_at timestamptz,
  gate_close_plan timestamptz, gate_close_est timestamptz,
  final_call_at timestamptz, gate_close_at timestamptz,
  -- arrival side
  arr_terminal text, arr_gate text, arr_gate_was text, arr_gate_at timestamptz, arr_stand text,
  belts text[] NOT NULL DEFAULT '{}', belts_was text[] NOT NULL DEFAULT '{}', belts_at timestamptz,
  first_bag_at timestamptz, last_bag_at timestamptz,
  -- aircraft
  aircraft_type text, registration text,
  -- state
  phase text NOT NULL DEFAULT 'scheduled' CHECK (phase IN ('scheduled','check_in','gate_open',
    'boarding','final_call','gate_closed','off_block','airborne','approaching','landed',
    'in_block','bags_done')),
  irregularity text NOT NULL DEFAULT 'none' CHECK (irregularity IN ('none','cancelled','diverted',
    'returned_to_gate','air_return','not_operating')),
  divert_airport text REFERENCES airport,
  cancelled_at timestamptz, next_info_at timestamptz,
  public_remark text,
  uncertain boolean NOT NULL DEFAULT false,
  hidden    boolean NOT NULL DEFAULT false,
  best_dep timestamptz GENERATED ALWAYS AS (coalesce(atd, atot, etd, std)) STORED,
  best_arr timestamptz GENERATED ALWAYS AS (coalesce(ata, aldt, eta, eldt, sta)) STORED,
  version      bigint NOT NULL DEFAULT 1,           -- +1 for each visible change; set by trigger
  created_at   timestamptz NOT NULL DEFAULT wall_now(),
  updated_at   timestamptz NOT NULL DEFAULT wall_now(),
  confirmed_at timestamptz NOT NULL DEFAULT board_now(),
  CHECK (std IS NOT NULL OR sta IS NOT NULL),
  CHECK (divert_airport IS NULL OR irregularity IN ('diverted','air_return')));
CREATE INDEX leg_dep_board ON flight_leg (dep_airport, best_dep) WHERE NOT hidden;
CREATE INDEX leg_arr_board ON flight_leg (arr_airport, best_arr) WHERE NOT hidden;
CREATE INDEX leg_number ON flight_leg (airline, flight_no, origin_date);
CREATE INDEX leg_aircraft ON flight_leg (registration, std) WHERE registration IS NOT NULL;
CREATE INDEX leg_desks ON flight_leg (check_in_close_at) WHERE check_in_close_at IS NOT NULL;
CREATE INDEX leg_diverted ON flight_leg (divert_airport) WHERE irregularity = 'diverted';

CREATE TABLE code_share (                           -- search index over flight_leg.codeshares
  leg_id    bigint NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  airline   text NOT NULL,
  flight_no smallint NOT NULL,
  suffix    text NOT NULL DEFAULT '',
  PRIMARY KEY (leg_id, airline, flight_no, suffix));
CREATE INDEX code_share_number ON code_share (airline, flight_no);

CREATE TABLE leg_alias (                            -- keys that a leg had before it was corrected
  key      text   PRIMARY KEY,
  leg_id   bigint NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  version  bigint NOT NULL,                         -- of the leg, when it left this key
  moved_at timestamptz NOT NULL DEFAULT wall_now());
CREATE INDEX leg_alias_leg ON leg_alias (leg_id);

CREATE TABLE leg_statement (                        -- what each feed last said, field by field
  leg_id   bigint   NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  feed_id  smallint NOT NULL REFERENCES feed,
  fields   jsonb    NOT NULL DEFAULT '{}',          -- {field: [value or null, source_ts, repeat]}
  as_of    timestamptz NOT NULL,
  weight   jsonb,                                   -- the feed's authority when the leg was merged
  PRIMARY KEY (leg_id, feed_id));

CREATE TABLE leg_change (                           -- the history, 90 days
  leg_id    bigint NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  version   bigint NOT NULL,
  at        timestamptz NOT NULL,
  source_ts timestamptz,
  feed      text,                                   -- NULL: by hand
  changed   jsonb NOT NULL,
  PRIMARY KEY (leg_id, version));
CREATE INDEX leg_change_at ON leg_change USING brin (at);

-- The public state of a leg: the one list of visible columns. NULL and empty members are left out.
-- A contract test holds it against the Structs, the ORM and the TypeScript types.
CREATE FUNCTION public_state(l flight_leg) RETURNS jsonb LANGUAGE sql STABLE
  RETURN jsonb_strip_nulls(jsonb_build_object(
    'key', leg_key(l.airline, l.flight_no, l.suffix, l.origin_date, l.dep_airport, l.arr_airport),
    'version', l.version, 'airline', l.airline, 'flight_no', l.flight_no,
    'suffix', nullif(l.suffix, ''), 'origin_date', to_char(l.origin_date, 'YYYY-MM-DD'),
    'airline_name', (SELECT name FROM airline a WHERE a.iata = l.airline),
    'codeshares', nullif(l.codeshares, '[]'), 'service_type', l.service_type,
    'dep_airport', l.dep_airport, 'arr_airport', l.arr_airport,
    'dep_city', (SELECT nullif(city, '') FROM airport a WHERE a.iata = l.dep_airport),
    'dep_tz', (SELECT tz FROM airport a WHERE a.iata = l.dep_airport),
    'arr_city', (SELECT nullif(city, '') FROM airport a WHERE a.iata = l.arr_airport),
    'arr_tz', (SELECT tz FROM airport a WHERE a.iata = l.arr_airport),
    'std', utc(l.std), 'etd', utc(l.etd), 'atd', utc(l.atd), 'atot', utc(l.atot),
    'sta', utc(l.sta), 'eta', utc(l.eta), 'eldt', utc(l.eldt), 'aldt', utc(l.aldt),
    'ata', utc(l.ata), 'phase', l.phase, 'irregularity', l.irregularity,
    'divert_airport', l.divert_airport,
    'divert_city', (SELECT nullif(city, '') FROM airport a WHERE a.iata = l.divert_airport),
    'cancelled_at', utc(l.cancelled_at), 'next_info_at', utc(l.next_info_at),
    'public_remark', nullif(l.public_remark, ''), 'aircraft_type', nullif(l.aircraft_type, ''),
    'uncertain', nullif(l.uncertain, false), 'hidden', nullif(l.hidden, false))
  || jsonb_build_object(
    'dep_terminal', nullif(l.dep_terminal, ''), 'dep_gate', nullif(l.dep_gate, ''),
    'dep_gate_was', l.dep_gate_was, 'dep_gate_at', utc(l.dep_gate_at),
    'check_in_from', nullif(l.check_in_from, ''), 'check_in_to', nullif(l.check_in_to, ''),
    'check_in_open_at', utc(l.check_in_open_at), 'check_in_close_at', utc(l.check_in_close_at),
    'gate_open_at', utc(l.gate_open_at), 'boarding_plan', utc(l.boarding_plan),
    'boarding_est', utc(l.boarding_est), 'boarding_at', utc(l.boarding_at),
    'gate_close_plan', utc(l.gate_close_plan), 'gate_close_est', utc(l.gate_close_est),
    'final_call_at', utc(l.final_call_at), 'gate_close_at', utc(l.gate_close_at),
    'arr_terminal', nullif(l.arr_terminal, ''), 'arr_gate', nullif(l.arr_gate, ''),
    'arr_gate_was', l.arr_gate_was, 'arr_gate_at', utc(l.arr_gate_at),
    'belts', nullif(to_jsonb(l.belts), '[]'), 'belts_was', nullif(to_jsonb(l.belts_was), '[]'),
    'belts_at', utc(l.belts_at), 'first_bag_at', utc(l.first_bag_at),
    'last_bag_at', utc(l.last_bag_at)));

-- The leg that brings the aircraft of a leg, as far as feeds tell registrations.
CREATE FUNCTION inbound_of(l flight_leg) RETURNS SETOF flight_leg LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.* FROM flight_leg i
  WHERE i.registration = l.registration AND i.arr_airport = l.dep_airport AND NOT i.hidden
    AND i.std < l.std AND i.std > l.std - interval '1 day' AND i.sta < l.std
    AND i.irregularity NOT IN ('cancelled','not_operating')
  ORDER BY i.std DESC LIMIT 1;
END;

CREATE FUNCTION state_diff(before jsonb, after jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
  RETURN (SELECT coalesce(jsonb_object_agg(field, jsonb_build_array(before -> field, after -> field)), '{}')
          FROM jsonb_object_keys(before || after) AS field
          WHERE before -> field IS DISTINCT FROM after -> field AND field <> 'version');

-- The change log ----------------------------------------------------------------------------------

CREATE SEQUENCE change_outbox_id;
CREATE TABLE change_outbox (                        -- insert-only; partitions dropped when drained
  id        bigint NOT NULL DEFAULT nextval('change_outbox_id'),
  xid       xid8   NOT NULL DEFAULT pg_current_xact_id(),
  kind      text   NOT NULL CHECK (kind IN ('leg','clock')),
  leg_id    bigint,
  version   bigint,
  feed      text,
  source_ts timestamptz,
  at        timestamptz NOT NULL DEFAULT board_now(),
  wall_at   timestamptz NOT NULL DEFAULT wall_now(),
  changed   jsonb  NOT NULL DEFAULT '{}',
  state     jsonb  NOT NULL,
  CHECK ((kind = 'leg') = (leg_id IS NOT NULL AND version IS NOT NULL))) PARTITION BY RANGE (id);
CREATE INDEX change_outbox_xid ON change_outbox (xid);
CREATE TABLE change_outbox_rest PARTITION OF change_outbox DEFAULT;

CREATE TABLE change_log (                           -- the ordered memory of the system
  seq       bigint NOT NULL PRIMARY KEY,
  kind      text   NOT NULL,
  leg_id    bigint,
  version   bigint,
  feed      text,
  source_ts timestamptz,
  at        timestamptz NOT NULL,
  wall_at   timestamptz NOT NULL,
  changed   jsonb  NOT NULL,
  state     jsonb  NOT NULL) PARTITION BY RANGE (seq);
CREATE TABLE change_log_rest PARTITION OF change_log DEFAULT;

CREATE TABLE relay_state (                          -- one row; its lock elects the sequencer
  only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch             uuid   NOT NULL DEFAULT gen_random_uuid(),
  last_seq          bigint NOT NULL DEFAULT 0,
  snap              pg_snapshot NOT NULL DEFAULT pg_current_snapshot(),
  target_snap       pg_snapshot,                    -- set while a large backlog is worked off
  last_id           bigint NOT NULL DEFAULT 0,      -- newest outbox id taken towards target_snap
  max_id            bigint NOT NULL DEFAULT 0,      -- newest outbox id ever taken
  system_identifier bigint NOT NULL,
  timeline_id       integer NOT NULL);
INSERT INTO relay_state (system_identifier, timeline_id)
  SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint();

CREATE TABLE log_reader (                           -- consumers of the log that must not miss a row
  name  text PRIMARY KEY,
  epoch uuid   NOT NULL,
  seq   bigint NOT NULL);

CREATE VIEW log_partition AS
  SELECT p.relname::text AS of_table, c.relname::text AS name,
    split_part(c.relname, '_', 3)::bigint AS lower_end, split_part(c.relname, '_', 4)::bigint AS upper_end
  FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class p ON p.oid = inhparent
  WHERE p.relname IN ('change_outbox', 'change_log') AND c.relname NOT LIKE '%\_rest' AND c.relkind = 'r';

-- Row trigger: the version counts visible changes, and what a screen shows as "was" survives.
CREATE FUNCTION flight_leg_before() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  unchanged flight_leg := OLD;
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.version := 1;
    NEW.std_initial := coalesce(NEW.std_initial, NEW.std);
    NEW.sta_initial := coalesce(NEW.sta_initial, NEW.sta);
    RETURN NEW;
  END IF;
  NEW.version := OLD.version;
  -- Generated columns are not computed yet: NEW has nulls there.
  unchanged.key := NEW.key;
  unchanged.best_dep := NEW.best_dep;
  unchanged.best_arr := NEW.best_arr;
  unchanged.confirmed_at := NEW.confirmed_at;
  IF NEW IS NOT DISTINCT FROM unchanged THEN
    RETURN NEW;
  END IF;
  NEW.std_initial := coalesce(OLD.std_initial, NEW.std);
  NEW.sta_initial := coalesce(OLD.sta_initial, NEW.sta);
  IF NEW.dep_gate IS DISTINCT FROM OLD.dep_gate THEN
    NEW.dep_gate_was := coalesce(OLD.dep_gate, OLD.dep_gate_was);
    NEW.dep_gate_at := CASE WHEN NEW.dep_gate_was IS NOT NULL THEN board_now() END;
  END IF;
  IF NEW.arr_gate IS DISTINCT FROM OLD.arr_gate THEN
    NEW.arr_gate_was := coalesce(OLD.arr_gate, OLD.arr_gate_was);
    NEW.arr_gate_at := CASE WHEN NEW.arr_gate_was IS NOT NULL THEN board_now() END;
  END IF;
  IF NEW.belts IS DISTINCT FROM OLD.belts AND OLD.belts <> '{}' THEN
    NEW.belts_was := OLD.belts;
    NEW.belts_at := board_now();
  END IF;
  IF public_state(NEW) IS DISTINCT FROM public_state(OLD) THEN
    NEW.version := OLD.version + 1;
    NEW.updated_at := wall_now();
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER flight_leg_before BEFORE INSERT OR UPDATE ON flight_leg
  FOR EACH ROW EXECUTE FUNCTION flight_leg_before();

CREATE FUNCTION flight_leg_code_share() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM code_share WHERE leg_id = NEW.leg_id;
  INSERT INTO code_share (leg_id, airline, flight_no, suffix)
    SELECT NEW.leg_id, c ->> 'airline', (c ->> 'number')::smallint, coalesce(c ->> 'suffix', '')
    FROM jsonb_array_elements(NEW.codeshares) AS c ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER flight_leg_code_share_insert AFTER INSERT ON flight_leg
  FOR EACH ROW WHEN (NEW.codeshares <> '[]') EXECUTE FUNCTION flight_leg_code_share();
CREATE TRIGGER flight_leg_code_share_update AFTER UPDATE OF codeshares ON flight_leg
  FOR EACH ROW WHEN (NEW.codeshares IS DISTINCT FROM OLD.codeshares)
  EXECUTE FUNCTION flight_leg_code_share();

-- Statement triggers: one outbox row and one history row for each changed leg, in leg order.
CREATE FUNCTION flight_leg_inserted() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  from_feed text := nullif(current_setting('gatecast.feed', true), '');
  said_at timestamptz := nullif(current_setting('gatecast.source_ts', true), '')::timestamptz;
BEGIN
  INSERT INTO change_outbox (kind, leg_id, version, feed, source_ts, state)
    SELECT 'leg', leg_id, version, from_feed, said_at, public_state(n)
    FROM new_rows n ORDER BY leg_id;
  DELETE FROM leg_alias WHERE key IN (SELECT key FROM new_rows);
  INSERT INTO leg_change (leg_id, version, at, source_ts, feed, changed)
    SELECT leg_id, version, board_now(), said_at, from_feed, '{}' FROM new_rows ORDER BY leg_id;
  RETURN NULL;
END $$;
CREATE TRIGGER flight_leg_inserted AFTER INSERT ON flight_leg REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION flight_leg_inserted();

CREATE FUNCTION flight_leg_updated() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  from_feed text := nullif(current_setting('gatecast.feed', true), '');
  said_at timestamptz := nullif(current_setting('gatecast.source_ts', true), '')::timestamptz;
BEGIN
  WITH changes AS (
    SELECT n.leg_id, n.version, s.after, state_diff(s.before, s.after) AS changed
    FROM new_rows n JOIN old_rows o USING (leg_id),
      LATERAL (SELECT public_state(o) AS before, public_state(n) AS after OFFSET 0) s
    WHERE n.version <> o.version ORDER BY n.leg_id),
  outboxed AS (
    INSERT INTO change_outbox (kind, leg_id, version, feed, source_ts, changed, state)
    SELECT 'leg', leg_id, version, from_feed, said_at, changed, after FROM changes ORDER BY leg_id)
  INSERT INTO leg_change (leg_id, version, at, source_ts, feed, changed)
    SELECT leg_id, version, board_now(), said_at, from_feed, changed FROM changes ORDER BY leg_id;
  -- A corrected key: the leg stays the same, and the key that it leaves still leads to it.
  INSERT INTO leg_alias AS a (key, leg_id, version)
    SELECT o.key, n.leg_id, n.version FROM new_rows n JOIN old_rows o USING (leg_id)
    WHERE n.key <> o.key ORDER BY n.leg_id
    ON CONFLICT (key) DO UPDATE SET leg_id = excluded.leg_id, version = excluded.version,
      moved_at = excluded.moved_at;
  DELETE FROM leg_alias WHERE key IN
    (SELECT n.key FROM new_rows n JOIN old_rows o USING (leg_id) WHERE n.key <> o.key);
  RETURN NULL;
END $$;
CREATE TRIGGER flight_leg_updated AFTER UPDATE ON flight_leg
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION flight_leg_updated();

CREATE FUNCTION flight_leg_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of flight_leg is refused: screens could not be told', TG_OP
    USING HINT = 'Set hidden = true instead.';
END $$;
CREATE TRIGGER flight_leg_refuse BEFORE DELETE OR TRUNCATE ON flight_leg
  FOR EACH STATEMENT EXECUTE FUNCTION flight_leg_refuse();

ALTER TABLE flight_leg ENABLE ALWAYS TRIGGER flight_leg_before;
ALTER TABLE flight_leg ENABLE ALWAYS TRIGGER flight_leg_inserted;
ALTER TABLE flight_leg ENABLE ALWAYS TRIGGER flight_leg_updated;
ALTER TABLE flight_leg ENABLE ALWAYS TRIGGER flight_leg_refuse;

-- Time in the log: at most one clock row a board minute, and one at the start of each epoch.
CREATE FUNCTION append_clock(forced boolean DEFAULT false) RETURNS boolean LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  this timestamptz := date_trunc('minute', board_now());
BEGIN
  UPDATE clock SET minute = this WHERE forced OR minute < this;
  IF FOUND THEN
    INSERT INTO change_outbox (kind, at, state) VALUES ('clock', this, jsonb_build_object('now', utc(this)));
  END IF;
  RETURN FOUND;
END $$;

-- Board time leaves the wall clock: a replay opens at `board_at` and runs at `speed`.
CREATE FUNCTION start_replay(opens_at timestamptz, times double precision) RETURNS void LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE clock SET board_at = opens_at, wall_at = wall_now(), speed = times;
  PERFORM append_clock(true);
END $$;

-- Outbox rows that the sequencer still has to take. An order by id keeps the commit order of each
-- leg, because the id is drawn while the row lock of the leg is held.
CREATE FUNCTION unsequenced() RETURNS SETOF change_outbox LANGUAGE sql STABLE
  SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  SELECT o.* FROM relay_state r, change_outbox o
    WHERE o.xid >= pg_snapshot_xmax(r.snap)
      AND NOT (r.target_snap IS NOT NULL AND o.id <= r.last_id AND pg_visible_in_snapshot(o.xid, r.target_snap))
  UNION ALL
  SELECT o.* FROM relay_state r, change_outbox o
    WHERE o.xid = ANY (ARRAY(SELECT pg_snapshot_xip(r.snap)))
      AND NOT (r.target_snap IS NOT NULL AND o.id <= r.last_id AND pg_visible_in_snapshot(o.xid, r.target_snap));
END;

-- The sequencer: gives the outbox rows that became visible since `snap` their dense seq. Never by
-- `id > last` (ids commit out of order). Returns rows taken, or -1 when another one is at it.
CREATE FUNCTION sequence_changes(batch integer DEFAULT 20000) RETURNS integer LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  r relay_state;
  upto pg_snapshot;
  taken integer;
  newest bigint;
BEGIN
  SELECT * INTO r FROM relay_state FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN -1;
  END IF;
  upto := coalesce(r.target_snap, pg_current_snapshot());
  WITH fresh AS (
    SELECT u.*, row_number() OVER (ORDER BY u.id) AS n FROM (
      SELECT * FROM change_outbox o WHERE o.xid >= pg_snapshot_xmax(r.snap)
        AND o.id > r.last_id AND pg_visible_in_snapshot(o.xid, upto)
      UNION ALL
      SELECT * FROM change_outbox o WHERE o.xid = ANY (ARRAY(SELECT pg_snapshot_xip(r.snap)))
        AND o.id > r.last_id AND pg_visible_in_snapshot(o.xid, upto)
      ORDER BY id LIMIT batch) u),
  logged AS (
    INSERT INTO change_log (seq, kind, leg_id, version, feed, source_ts, at, wall_at, changed, state)
    SELECT r.last_seq + n, kind, leg_id, version, feed, source_ts, at, wall_at, changed, state FROM fresh)
  SELECT count(*), max(id) INTO taken, newest FROM fresh;
  IF taken = batch THEN
    UPDATE relay_state SET last_seq = r.last_seq + taken, target_snap = upto, last_id = newest,
      max_id = greatest(r.max_id, newest);
  ELSIF taken > 0 OR r.target_snap IS NOT NULL THEN
    UPDATE relay_state SET last_seq = r.last_seq + taken, snap = upto, target_snap = NULL,
      last_id = 0, max_id = greatest(r.max_id, newest);
  END IF;
  RETURN taken;
END $$;

-- A new epoch says: positions held elsewhere mean nothing any more. seq goes on densely.
CREATE FUNCTION new_epoch(seen_epoch uuid, seen_seq bigint) RETURNS uuid LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  fresh uuid;
BEGIN
  UPDATE relay_state SET epoch = gen_random_uuid()
    WHERE epoch = seen_epoch AND seen_seq > last_seq RETURNING epoch INTO fresh;
  IF FOUND THEN
    PERFORM append_clock(true);
  END IF;
  RETURN fresh;
END $$;

-- Run by each relay at its start: in a restored or promoted database transaction ids of the outbox
-- may mean nothing, so everything untaken is taken now and the outbox emptied.
CREATE FUNCTION adopt_database() RETURNS boolean LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  r relay_state;
  here bigint := (SELECT system_identifier FROM pg_control_system());
  -- Not that of pg_control_checkpoint(): after a promotion it tells the old one until a checkpoint.
  line integer := ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer;
  taken integer;
BEGIN
  SELECT * INTO r FROM relay_state FOR UPDATE;
  IF r.system_identifier = here AND r.timeline_id = line THEN
    RETURN false;
  END IF;
  LOCK TABLE change_outbox IN ACCESS EXCLUSIVE MODE;
  INSERT INTO change_log (seq, kind, leg_id, version, feed, source_ts, at, wall_at, changed, state)
    SELECT r.last_seq + row_number() OVER (ORDER BY id), kind, leg_id, version, feed, source_ts, at,
      wall_at, changed, state
    FROM change_outbox WHERE id > r.max_id OR NOT (pg_visible_in_snapshot(xid, r.snap)
      OR (r.target_snap IS NOT NULL AND id <= r.last_id AND pg_visible_in_snapshot(xid, r.target_snap)));
  GET DIAGNOSTICS taken = ROW_COUNT;
  TRUNCATE change_outbox;
  UPDATE relay_state SET epoch = gen_random_uuid(), last_seq = r.last_seq + taken,
    snap = pg_current_snapshot(), target_snap = NULL, last_id = 0,
    max_id = (SELECT last_value FROM change_outbox_id), system_identifier = here, timeline_id = line;
  PERFORM append_clock(true);
  RETURN true;
END $$;

-- Partitions of outbox and log are named <table>_<lower>_<upper>; two are kept ahead of the writers.
CREATE FUNCTION add_partitions(width bigint DEFAULT 1000000) RETURNS integer LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
  parent text;
  newest bigint;
  lower_end bigint;
  made integer := 0;
BEGIN
  FOREACH parent IN ARRAY ARRAY['change_outbox', 'change_log'] LOOP
    newest := CASE parent WHEN 'change_outbox' THEN (SELECT last_value FROM change_outbox_id)
                          ELSE (SELECT last_seq FROM relay_state) END;
    SELECT coalesce(max(upper_end), 1) INTO lower_end FROM log_partition WHERE of_table = parent;
    lower_end := greatest(lower_end, CASE WHEN made = 0 AND lower_end = 1 THEN 1 ELSE newest + 1 END);
    WHILE lower_end <= newest + width LOOP
      EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)',
        parent || '_' || lower_end || '_' || lower_end + width, parent, lower_end, lower_end + width);
      lower_end := lower_end + width;
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END $$;
SELECT add_partitions();
SELECT append_clock(true);

-- An outbox partition goes only when the id sequence has left it and, with every writer locked out,
-- no row in it is still to be sequenced. Writers wait 100 ms at most.
CREATE FUNCTION drop_drained_partitions() RETURNS integer LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
  part log_partition;
  left_over boolean;
  dropped integer := 0;
BEGIN
  FOR part IN SELECT * FROM log_partition WHERE of_table = 'change_outbox'
      AND upper_end <= (SELECT last_value FROM change_outbox_id) ORDER BY lower_end LOOP
    LOCK TABLE change_outbox IN ACCESS EXCLUSIVE MODE;
    SELECT EXISTS (SELECT FROM unsequenced() u WHERE u.id >= part.lower_end AND u.id < part.upper_end)
      INTO left_over;
    IF NOT left_over THEN
      EXECUTE format('DROP TABLE %I', part.name);
      dropped := dropped + 1;
    END IF;
  END LOOP;
  RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END $$;

-- A log partition goes when it is older than `keep` and every reader has passed it.
CREATE FUNCTION prune_log(keep interval DEFAULT '7 days') RETURNS integer LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
  part log_partition;
  young boolean;
  dropped integer := 0;
BEGIN
  FOR part IN SELECT * FROM log_partition WHERE of_table = 'change_log'
      AND upper_end <= (SELECT least(min(l.seq), min(r.last_seq)) FROM relay_state r LEFT JOIN log_reader l ON true)
      ORDER BY lower_end LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE wall_at > wall_now() - $1)', part.name)
      INTO young USING keep;
    IF NOT young THEN
      EXECUTE format('DROP TABLE %I', part.name);
      dropped := dropped + 1;
    END IF;
  END LOOP;
  RETURN dropped;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END $$;

-- The history of legs: `batch` rows that are too old.
CREATE FUNCTION prune_history(keep interval, batch integer) RETURNS bigint LANGUAGE sql
  SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  WITH old AS (
    SELECT leg_id, version FROM leg_change WHERE at < (SELECT board_now()) - keep LIMIT batch),
  gone AS (
    DELETE FROM leg_change c USING old o WHERE (c.leg_id, c.version) = (o.leg_id, o.version)
    RETURNING 1)
  SELECT count(*) FROM gone;
END;

-- People ------------------------------------------------------------------------------------------

CREATE TABLE account (                              -- anonymous: nothing here names a person
  account_id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  credential_hash bytea NOT NULL,                   -- SHA-256 of a 256-bit secret
  created_at      timestamptz NOT NULL DEFAULT wall_now(),
  preferences     jsonb NOT NULL DEFAULT '{}');

CREATE TABLE account_credential (                   -- of the phones that a link brought the account to
  credential_hash bytea PRIMARY KEY,
  account_id      uuid NOT NULL REFERENCES account ON DELETE CASCADE,
  created_at      timestamptz NOT NULL DEFAULT wall_now());
CREATE INDEX account_credential_account ON account_credential (account_id);

CREATE TABLE account_link (                         -- carries an account to another phone, once
  link_id     text PRIMARY KEY,
  account_id  uuid NOT NULL REFERENCES account ON DELETE CASCADE,
  secret_hash bytea NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT wall_now(),
  attempts    smallint NOT NULL DEFAULT 0,
  used_at     timestamptz);
CREATE INDEX account_link_account ON account_link (account_id);

CREATE TABLE device (                               -- one push target of one account
  device_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id  uuid NOT NULL REFERENCES account ON DELETE CASCADE,
  platform    text NOT NULL CHECK (platform IN ('android','ios','web')),
  kind        text NOT NULL CHECK (kind IN ('fid','token')),
  target      text NOT NULL CHECK (length(target) BETWEEN 8 AND 1024),
  created_at  timestamptz NOT NULL DEFAULT wall_now(),
  refreshed_at timestamptz NOT NULL DEFAULT wall_now(), -- the app said that the target is its own
  alerts      boolean NOT NULL DEFAULT true,        -- false: its owner wants none here
  last_ok_at  timestamptz,
  dead_at     timestamptz,
  dead_reason text,
  UNIQUE (kind, target));
CREATE INDEX device_account ON device (account_id);

CREATE TABLE follow (
  account_id uuid   NOT NULL REFERENCES account ON DELETE CASCADE,
  leg_id     bigint NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT wall_now(),
  role       text   NOT NULL DEFAULT 'passenger' CHECK (role IN ('passenger','pick_up')),
  number     text   NOT NULL DEFAULT '',            -- what was searched: EI5009; '' = the leg's own
  kinds      text[] NOT NULL DEFAULT
    '{cancelled,reinstated,diverted,returned_to_gate,air_return,schedule_change,delay,early,terminal_changed,gate_changed,boarding,final_call,boarding_suspended,belt_assigned,belt_changed,inbound_late,connection_risk}',
  told       jsonb  NOT NULL DEFAULT '{}',          -- of the leg's public state what they know, with
                                                    -- its version
  PRIMARY KEY (account_id, leg_id));
CREATE INDEX follow_leg ON follow (leg_id);

CREATE TABLE receipt (                              -- what an account displayed on a visible screen
  account_id        uuid   NOT NULL REFERENCES account ON DELETE CASCADE,
  leg_id            bigint NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  epoch             uuid   NOT NULL,
  version           bigint NOT NULL,
  attentive_version bigint NOT NULL DEFAULT 0,      -- the same, with user input in the last 60 s
  at                timestamptz NOT NULL DEFAULT wall_now(),
  PRIMARY KEY (account_id, leg_id)) WITH (fillfactor = 70);

CREATE TABLE delivery (                             -- one significant change for one follower
  account_id  uuid    NOT NULL REFERENCES account ON DELETE CASCADE,
  leg_id      bigint  NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  version     bigint  NOT NULL,                     -- of the leg; below zero: -seq of what else
  seq         bigint  NOT NULL,                     -- called for it, time or another leg
  kinds       text[]  NOT NULL,
  urgent      boolean NOT NULL,
  held_until  timestamptz,                          -- board time
  expires_at  timestamptz NOT NULL,                 -- board time
  due_at      timestamptz NOT NULL,                 -- wall time: commit + grace
  state       text    NOT NULL CHECK (state IN ('held','pending','claimed','seen','sent',
    'superseded','expired','suppressed','undeliverable')),
  attempts    smallint NOT NULL DEFAULT 0,
  worker      text,
  lease_until timestamptz,                          -- wall time
  done_at     timestamptz,                          -- wall time
  reason      text,
  said        text[]  NOT NULL DEFAULT '{}',        -- kinds that the notice told
  said_at     timestamptz,                          -- board time
  answers     jsonb,                                -- of devices, while one has still to take it
  PRIMARY KEY (account_id, leg_id, version),
  CHECK (state NOT IN ('superseded','expired','suppressed','undeliverable') OR reason IS NOT NULL),
  CHECK ((state IN ('held','pending','claimed')) = (done_at IS NULL))) WITH (fillfactor = 80);
CREATE INDEX delivery_due ON delivery (urgent DESC, due_at) WHERE state IN ('held','pending');
CREATE INDEX delivery_lease ON delivery (lease_until) WHERE state = 'claimed';
CREATE INDEX delivery_age ON delivery (due_at);

CREATE TABLE cancellation_ruling (                  -- the operator on cancellations of an airport
  airport text        PRIMARY KEY REFERENCES airport,
  tell    boolean     NOT NULL,                     -- false: nobody is told of them
  since   timestamptz NOT NULL,                     -- board time, as `until`: of the cancellations
  until   timestamptz NOT NULL);

CREATE TABLE test_notice (                          -- asked for to see that notices arrive
  notice_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id  uuid NOT NULL REFERENCES account ON DELETE CASCADE,
  created_at  timestamptz NOT NULL DEFAULT wall_now(),
  expires_at  timestamptz NOT NULL DEFAULT wall_now() + interval '2 minutes',
  state       text  NOT NULL DEFAULT 'pending' CHECK (state IN ('pending','claimed','sent',
    'undeliverable')),
  worker      text,
  lease_until timestamptz,
  done_at     timestamptz,
  reason      text,
  devices     jsonb NOT NULL DEFAULT '[]',          -- what became of it at each
  CHECK ((state IN ('pending','claimed')) = (done_at IS NULL)));
CREATE INDEX test_notice_account ON test_notice (account_id);
CREATE INDEX test_notice_open ON test_notice (created_at) WHERE state IN ('pending','claimed');

-- Feeds over HTTP ---------------------------------------------------------------------------------

CREATE TABLE api_key (                              -- lets its bearer speak as one feed
  key_id      text     PRIMARY KEY CHECK (key_id ~ '^[0-9a-f]{12}$'),
  feed_id     smallint NOT NULL REFERENCES feed ON DELETE CASCADE,
  secret_hash bytea    NOT NULL,                    -- SHA-256 of a 256-bit secret
  created_at  timestamptz NOT NULL DEFAULT wall_now(),
  revoked_at  timestamptz);
CREATE INDEX api_key_feed ON api_key (feed_id);

CREATE TABLE feed_message (                         -- what a feed was answered: a repeat gets the same
  feed_id     smallint NOT NULL REFERENCES feed ON DELETE CASCADE,
  message_key text     NOT NULL,
  received_at timestamptz NOT NULL DEFAULT wall_now(),
  outcome     text     NOT NULL CHECK (outcome IN ('taken','partly','refused')),
  answer      bytea    NOT NULL,
  PRIMARY KEY (feed_id, message_key));
CREATE INDEX feed_message_received ON feed_message USING brin (received_at);
