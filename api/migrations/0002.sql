-- Keys of feeds, what feeds were answered, what is replayed, and legs whose key is corrected.
INSERT INTO schema_version (version) VALUES (2);

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

ALTER TABLE feed
  ADD COLUMN legs_taken bigint NOT NULL DEFAULT 0,
  ADD COLUMN legs_refused bigint NOT NULL DEFAULT 0,
  ADD COLUMN last_complaint text,
  ADD COLUMN last_complaint_at timestamptz;

CREATE TABLE feed_unknown (                         -- words and codes of a feed without a meaning here
  feed_id smallint NOT NULL REFERENCES feed ON DELETE CASCADE,
  word    text     NOT NULL,                        -- what it is and itself: 'status XYZ'
  times   bigint   NOT NULL,
  last_at timestamptz NOT NULL DEFAULT wall_now(),
  PRIMARY KEY (feed_id, word));

-- Replays -----------------------------------------------------------------------------------------

CREATE TABLE replay (                               -- at most one row: what that clock replays
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  day      text        NOT NULL,                    -- 2013-03-08, or its first and last day
  airports text[]      NOT NULL,
  opens    timestamptz NOT NULL,                    -- board time, as `ends`: of the last change
  ends     timestamptz NOT NULL,
  again    boolean     NOT NULL,                    -- it starts over after its end
  over_at  timestamptz);                            -- wall time at which all of it was told

-- Corrected keys ---------------------------------------------------------------------------------

CREATE TABLE leg_alias (                            -- keys that a leg had before it was corrected
  key      text   PRIMARY KEY,
  leg_id   bigint NOT NULL REFERENCES flight_leg ON DELETE CASCADE,
  version  bigint NOT NULL,                         -- of the leg, when it left this key
  moved_at timestamptz NOT NULL DEFAULT wall_now());
CREATE INDEX leg_alias_leg ON leg_alias (leg_id);

CREATE OR REPLACE FUNCTION flight_leg_before() RETURNS trigger LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION flight_leg_inserted() RETURNS trigger LANGUAGE plpgsql
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

CREATE OR REPLACE FUNCTION flight_leg_updated() RETURNS trigger LANGUAGE plpgsql
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

-- Authority ---------------------------------------------------------------------------------------

ALTER TABLE feed ADD COLUMN silent boolean NOT NULL DEFAULT false;
ALTER TABLE leg_statement ADD COLUMN weight jsonb;

-- People ------------------------------------------------------------------------------------------

ALTER TABLE account DROP COLUMN locale, ADD COLUMN preferences jsonb NOT NULL DEFAULT '{}';
ALTER TABLE follow
  ADD COLUMN role   text   NOT NULL DEFAULT 'passenger' CHECK (role IN ('passenger','pick_up')),
  ADD COLUMN number text   NOT NULL DEFAULT '',
  ADD COLUMN kinds  text[] NOT NULL DEFAULT
    '{cancelled,reinstated,diverted,returned_to_gate,air_return,schedule_change,delay,early,terminal_changed,gate_changed,boarding,final_call,boarding_suspended,belt_assigned,belt_changed,inbound_late,connection_risk}',
  ADD COLUMN told   jsonb  NOT NULL DEFAULT '{}';
ALTER TABLE device
  ADD COLUMN refreshed_at timestamptz NOT NULL DEFAULT wall_now(),
  ADD COLUMN alerts boolean NOT NULL DEFAULT true;
ALTER TABLE delivery
  ADD COLUMN said    text[] NOT NULL DEFAULT '{}',
  ADD COLUMN said_at timestamptz,
  ADD COLUMN answers jsonb;
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (urgent DESC, due_at) WHERE state IN ('held','pending');

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

-- Doubted cancellations -------------------------------------------------------------------------

CREATE TABLE cancellation_ruling (                  -- the operator on cancellations of an airport
  airport text        PRIMARY KEY REFERENCES airport,
  tell    boolean     NOT NULL,                     -- false: nobody is told of them
  since   timestamptz NOT NULL,                     -- board time, as `until`: of the cancellations
  until   timestamptz NOT NULL);

-- Notices that no change of their leg calls for ---------------------------------------------------

CREATE INDEX leg_aircraft ON flight_leg (registration, std) WHERE registration IS NOT NULL;
CREATE INDEX leg_desks ON flight_leg (check_in_close_at) WHERE check_in_close_at IS NOT NULL;
CREATE INDEX leg_diverted ON flight_leg (divert_airport) WHERE irregularity = 'diverted';

-- The leg that brings the aircraft of a leg, as far as feeds tell registrations.
CREATE FUNCTION inbound_of(l flight_leg) RETURNS SETOF flight_leg LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT i.* FROM flight_leg i
  WHERE i.registration = l.registration AND i.arr_airport = l.dep_airport AND NOT i.hidden
    AND i.std < l.std AND i.std > l.std - interval '1 day' AND i.sta < l.std
    AND i.irregularity NOT IN ('cancelled','not_operating')
  ORDER BY i.std DESC LIMIT 1;
END;

-- Retention ---------------------------------------------------------------------------------------

CREATE INDEX delivery_age ON delivery (due_at);

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

-- Run by each relay at its start: in a restored or promoted database transaction ids of the outbox
-- may mean nothing, so everything untaken is taken now and the outbox emptied.
CREATE OR REPLACE FUNCTION adopt_database() RETURNS boolean LANGUAGE plpgsql
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
