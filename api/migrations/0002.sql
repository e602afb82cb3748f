-- Keys of feeds, what feeds were answered, and what is replayed.
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

-- Replays -----------------------------------------------------------------------------------------

CREATE TABLE replay (                               -- at most one row: what that clock replays
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  day      text        NOT NULL,                    -- 2013-03-08, or its first and last day
  airports text[]      NOT NULL,
  opens    timestamptz NOT NULL,                    -- board time, as `ends`: of the last change
  ends     timestamptz NOT NULL,
  again    boolean     NOT NULL,                    -- it starts over after its end
  over_at  timestamptz);                            -- wall time at which all of it was told

-- People ------------------------------------------------------------------------------------------

ALTER TABLE account DROP COLUMN locale, ADD COLUMN preferences jsonb NOT NULL DEFAULT '{}';
ALTER TABLE follow
  ADD COLUMN role   text   NOT NULL DEFAULT 'passenger' CHECK (role IN ('passenger','pick_up')),
  ADD COLUMN number text   NOT NULL DEFAULT '',
  ADD COLUMN kinds  text[] NOT NULL DEFAULT
    '{cancelled,reinstated,diverted,returned_to_gate,air_return,schedule_change,delay,early,terminal_changed,gate_changed,boarding,final_call,boarding_suspended,belt_assigned,belt_changed}',
  ADD COLUMN told   jsonb  NOT NULL DEFAULT '{}';
ALTER TABLE delivery
  ADD COLUMN said    text[] NOT NULL DEFAULT '{}',
  ADD COLUMN said_at timestamptz;
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (urgent DESC, due_at) WHERE state IN ('held','pending');
