-- What each kind of process may do in the database, and no more. Applied by `gatecast db init` and
-- `gatecast db upgrade` as the owner of the schema; a login gets one of these roles and nothing else:
--   CREATE ROLE node_1 LOGIN PASSWORD '…' IN ROLE gatecast_realtime;
-- Tables of the log and history are written by functions of the owner only.

DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['api','realtime','relay','notifier','replay'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gatecast_' || role) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', 'gatecast_' || role);
    END IF;
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', 'gatecast_' || role);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM %I', 'gatecast_' || role);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), 'gatecast_' || role);
  END LOOP;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public
  TO gatecast_api, gatecast_realtime, gatecast_relay, gatecast_notifier, gatecast_replay;

-- Everybody: the clock, where the log ends, what a leg looks like from outside.
GRANT SELECT ON schema_version, clock, replay, relay_state, airport, airline
  TO gatecast_api, gatecast_realtime, gatecast_relay, gatecast_notifier, gatecast_replay;
GRANT EXECUTE ON FUNCTION wall_now(), board_now(), utc(timestamptz), public_state(flight_leg),
  leg_key(text, smallint, text, date, text, text)
  TO gatecast_api, gatecast_realtime, gatecast_relay, gatecast_notifier, gatecast_replay;

-- REST, feeds and the periodic work. It reads keys of feeds and registers none.
GRANT SELECT ON api_key, feed_authority, code_share, leg_alias, leg_change, change_log, log_reader,
  log_partition
  TO gatecast_api;
GRANT SELECT, UPDATE ON feed TO gatecast_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON feed_unknown TO gatecast_api;
GRANT INSERT, UPDATE ON airport, airline TO gatecast_api, gatecast_replay;
GRANT SELECT, INSERT, UPDATE ON flight_leg, leg_statement TO gatecast_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON feed_message, account, account_credential, account_link,
  device, follow, receipt TO gatecast_api;
GRANT SELECT, UPDATE, DELETE ON delivery TO gatecast_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON test_notice TO gatecast_api;
GRANT UPDATE (board_at, wall_at) ON clock TO gatecast_api;
GRANT EXECUTE ON FUNCTION anchor_clock(), append_clock(boolean), unsequenced(),
  add_partitions(bigint), drop_drained_partitions(), prune_log(interval),
  prune_history(interval, integer) TO gatecast_api;

-- Nodes: what boards show, and what screens have shown. They know no device and no secret.
GRANT SELECT ON flight_leg, leg_alias, leg_statement, leg_change, change_log, feed, feed_authority,
  follow, receipt, delivery TO gatecast_realtime;
GRANT SELECT (account_id) ON account TO gatecast_realtime;
GRANT INSERT, UPDATE ON receipt TO gatecast_realtime;
GRANT UPDATE (told) ON follow TO gatecast_realtime;
GRANT UPDATE (state, reason, done_at, worker, lease_until, answers) ON delivery TO gatecast_realtime;
GRANT EXECUTE ON FUNCTION unsequenced(), new_epoch(uuid, bigint) TO gatecast_realtime;

-- The relay: the log, and nothing of people.
GRANT SELECT ON change_outbox, change_log TO gatecast_relay;
GRANT SELECT, INSERT, UPDATE ON log_reader TO gatecast_relay;
GRANT EXECUTE ON FUNCTION unsequenced(), sequence_changes(integer), adopt_database(),
  new_epoch(uuid, bigint) TO gatecast_relay;

-- The notifier: deliveries and devices; it changes no flight.
GRANT SELECT ON flight_leg, leg_statement, leg_change, change_log, feed, follow, receipt, device,
  cancellation_ruling TO gatecast_notifier;
GRANT SELECT (account_id, preferences), UPDATE (account_id) ON account TO gatecast_notifier;
GRANT SELECT, INSERT, UPDATE ON log_reader, delivery TO gatecast_notifier;
GRANT SELECT, UPDATE ON test_notice TO gatecast_notifier;
GRANT INSERT, UPDATE (told) ON follow TO gatecast_notifier;
GRANT UPDATE (last_ok_at, dead_at, dead_reason) ON device TO gatecast_notifier;
GRANT EXECUTE ON FUNCTION unsequenced(), new_epoch(uuid, bigint), inbound_of(flight_leg)
  TO gatecast_notifier;

-- A replay: a feed of its own, and the clock.
GRANT SELECT ON feed_authority, leg_alias TO gatecast_replay;
GRANT SELECT, INSERT, UPDATE ON feed, flight_leg, leg_statement, replay TO gatecast_replay;
GRANT EXECUTE ON FUNCTION start_replay(timestamptz, double precision), append_clock(boolean)
  TO gatecast_replay;
