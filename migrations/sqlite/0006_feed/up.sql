-- The events of all plans in one order, that of their commits, and how many there are of each kind.

-- Positions are whole numbers from 1 without a gap: rows are only ever added, one writer at a time.
-- `latest` is the latest time of an event up to there: it never goes back, whatever the clocks do, so
-- that the first event of an hour is found by halving.
CREATE TABLE feed (
    position INTEGER NOT NULL PRIMARY KEY,
    plan_id  TEXT    NOT NULL,
    seq      INTEGER NOT NULL CHECK (seq >= 1),
    latest   INTEGER NOT NULL
) STRICT;

-- Of what is there, the order is that of time, and of one plan that of its log.
INSERT INTO feed (position, plan_id, seq, latest)
SELECT row_number() OVER (ORDER BY latest, plan_id, seq), plan_id, seq, latest FROM (
    SELECT plan_id, seq, max(at) OVER (PARTITION BY plan_id ORDER BY seq) AS latest FROM events)
ORDER BY 1;

CREATE TRIGGER events_join_the_feed AFTER INSERT ON events
BEGIN
    INSERT INTO feed (plan_id, seq, latest) VALUES (NEW.plan_id, NEW.seq,
        max(NEW.at, coalesce((SELECT latest FROM feed ORDER BY position DESC LIMIT 1), NEW.at)));
END;

CREATE TRIGGER feed_is_never_changed BEFORE UPDATE ON feed
BEGIN
    SELECT raise(ABORT, 'the feed is append-only');
END;

CREATE TRIGGER feed_is_never_deleted BEFORE DELETE ON feed
BEGIN
    SELECT raise(ABORT, 'the feed is append-only');
END;

-- How many events there are of each kind, up to the last position that is a multiple of 1024: the
-- rest is counted by whoever asks. So it costs one commit in a thousand something, and the others
-- nothing.
CREATE TABLE event_counts (
    kind   TEXT    NOT NULL PRIMARY KEY,
    events INTEGER NOT NULL CHECK (events >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO event_counts
SELECT kind, count(*) FROM feed JOIN events USING (plan_id, seq)
WHERE position <= (SELECT max(position) / 1024 * 1024 FROM feed) GROUP BY kind;

CREATE TRIGGER events_are_counted AFTER INSERT ON feed WHEN NEW.position % 1024 = 0
BEGIN
    INSERT INTO event_counts
    SELECT kind, count(*) FROM feed JOIN events USING (plan_id, seq)
    WHERE position > NEW.position - 1024 GROUP BY kind
    ON CONFLICT DO UPDATE SET events = events + excluded.events;
END;

PRAGMA user_version = 6;
