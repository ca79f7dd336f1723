-- The events of all plans in one order, and how many there are of each kind.
--
-- The order is that of the transactions that wrote them (`tx`), which is known before they end: who
-- reads only below the oldest one that still runs sees whatever comes later only later, and misses
-- nothing. An order by time, or by numbers handed out, would let one that ends late slip in behind a
-- reader who has gone by. No writer waits for another because of it.

-- Transactions are numbered by the server. A database that was dumped and restored on another one, or
-- copied, brings numbers that the new server has perhaps yet to give: what is written there begins a
-- new era. Whatever belongs to an earlier era has long been decided.
ALTER TABLE events ADD COLUMN era INTEGER NOT NULL DEFAULT 1;

DROP INDEX events_by_transaction;
CREATE INDEX events_by_transaction ON events (era, tx, plan_id, seq);

-- Logs grow in the order of time, by and large: a few bytes for every 32 pages tell where an hour is.
CREATE INDEX events_by_time ON events USING brin (at) WITH (pages_per_range = 32, autosummarize = on);

-- The era of now. That the newest event is of a later transaction than any that has ended is a sign
-- that it comes from another server; if it is not our own.
CREATE FUNCTION agents_era() RETURNS INTEGER LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((
        SELECT CASE WHEN tx >= pg_snapshot_xmax(pg_current_snapshot())
            AND tx IS DISTINCT FROM pg_current_xact_id_if_assigned() THEN era + 1 ELSE era END
        FROM events ORDER BY era DESC, tx DESC LIMIT 1), 1);
END
$$;

ALTER TABLE events ALTER COLUMN era SET DEFAULT agents_era();

-- How many events there are of each kind, up to the one that `counted_events` names: the rest is
-- counted by whoever asks. One event in a thousand takes along some of those that nobody else is
-- counting, as many at most as take no time to speak of.
CREATE TABLE event_counts (
    kind   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    events BIGINT           NOT NULL CHECK (events >= 0)
);

CREATE TABLE counted_events (
    one     BOOLEAN          NOT NULL PRIMARY KEY CHECK (one),
    era     INTEGER          NOT NULL,
    tx      XID8             NOT NULL,
    plan_id TEXT COLLATE "C" NOT NULL,
    seq     BIGINT           NOT NULL
);

INSERT INTO counted_events VALUES (true, 0, '0', '', 0);

CREATE FUNCTION agents_count_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM counted_events FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    WITH next AS MATERIALIZED (
        SELECT era, tx, plan_id, seq, kind FROM events
        WHERE (era, tx, plan_id, seq) > (SELECT c.era, c.tx, c.plan_id, c.seq FROM counted_events c)
        AND (era, tx) < ((SELECT agents_era()), pg_snapshot_xmin(pg_current_snapshot()))
        ORDER BY era, tx, plan_id, seq LIMIT 10000),
    counted AS (
        INSERT INTO event_counts AS c SELECT kind, count(*) FROM next GROUP BY kind
        ON CONFLICT (kind) DO UPDATE SET events = c.events + excluded.events)
    UPDATE counted_events AS c SET (era, tx, plan_id, seq) = (l.era, l.tx, l.plan_id, l.seq)
    FROM (SELECT * FROM next ORDER BY era DESC, tx DESC, plan_id DESC, seq DESC LIMIT 1) AS l;
    RETURN NULL;
END
$$;

CREATE TRIGGER events_are_counted AFTER INSERT ON events FOR EACH ROW WHEN (random() < 0.001)
EXECUTE FUNCTION agents_count_events();

UPDATE meta SET value = '6' WHERE key = 'schema_version';
