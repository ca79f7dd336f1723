//! A witness inside of the database: triggers, of which the program knows nothing, write down every
//! grant, renewal and end of a lock, and for every event who held the plan's lock in that very
//! transaction: a child is born under its parent's. What is rolled back was not seen.
//!
//! Their order is that of a counter. On `SQLite`, where one writes at a time, it is the order of the
//! commits. On PostgreSQL it is so for one key, whose row whoever changes it keeps to the end; between a
//! grant and an event it need not be. There a grant also notes which transactions it saw as ended, after
//! it had the row: who writes under a fence keeps the row, too, so every event at an earlier token must
//! be among them. One that is not was committed when the lock was another's, whatever it had seen before.
//! The witness locks nothing for this: with locks of its own it would guard what it is to watch.

use super::place::On;

/// What makes it.
pub(crate) const fn triggers(on: On) -> &'static str {
    match on {
        On::Sqlite => SQLITE,
        On::Postgres => POSTGRES,
    }
}

/// Events that were committed after the next grant of their lock, as a sentence each.
pub(crate) const LATE: &str = "
SELECT event.key || ': event ' || coalesce(event.seq, 0) || ' at token ' || event.lock_token
    || ' was committed after ' || grants.key || ' had been granted at token ' || grants.token AS line
FROM witness AS event JOIN witness AS grants
    ON grants.kind = 'grant' AND grants.key = event.lock_key AND grants.token > event.lock_token
WHERE event.kind = 'event' AND event.tx <> grants.tx AND NOT pg_visible_in_snapshot(event.tx, grants.saw)
ORDER BY event.n";

const SQLITE: &str = "
CREATE TABLE witness (
    n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL,
    owner TEXT, token INTEGER, lock_owner TEXT, lock_token INTEGER, pid INTEGER, expires INTEGER, seq INTEGER);
CREATE TRIGGER witness_birth AFTER INSERT ON locks WHEN NEW.owner_id IS NOT NULL BEGIN
    INSERT INTO witness (kind, key, owner, token, pid, expires) VALUES ('grant',
        NEW.resource_type || '/' || NEW.resource_id, NEW.owner_id, NEW.token, NEW.pid, NEW.expires_boottime_ms);
END;
CREATE TRIGGER witness_grant AFTER UPDATE ON locks WHEN NEW.token <> OLD.token BEGIN
    INSERT INTO witness (kind, key, owner, token, lock_owner, lock_token, pid, expires) VALUES ('grant',
        NEW.resource_type || '/' || NEW.resource_id, NEW.owner_id, NEW.token, OLD.owner_id, OLD.token, NEW.pid,
        NEW.expires_boottime_ms);
END;
CREATE TRIGGER witness_renewal AFTER UPDATE ON locks
WHEN NEW.token = OLD.token AND NEW.owner_id IS NOT NULL BEGIN
    INSERT INTO witness (kind, key, owner, token, lock_owner, pid, expires) VALUES ('renewal',
        NEW.resource_type || '/' || NEW.resource_id, NEW.owner_id, NEW.token, OLD.owner_id, NEW.pid,
        NEW.expires_boottime_ms);
END;
CREATE TRIGGER witness_end AFTER UPDATE ON locks WHEN NEW.owner_id IS NULL AND OLD.owner_id IS NOT NULL BEGIN
    INSERT INTO witness (kind, key, owner, token) VALUES ('end',
        NEW.resource_type || '/' || NEW.resource_id, OLD.owner_id, OLD.token);
END;
CREATE TRIGGER witness_event AFTER INSERT ON events BEGIN
    INSERT INTO witness (kind, key, owner, token, lock_owner, lock_token, seq)
    SELECT 'event', 'plan/' || NEW.plan_id, NEW.owner_id, NEW.token, owner_id, token, NEW.seq
    FROM locks WHERE resource_type = 'plan' AND resource_id = CASE NEW.seq
        WHEN 1 THEN (SELECT coalesce(parent, id) FROM plans WHERE id = NEW.plan_id) ELSE NEW.plan_id END;
END;
";

/// Where a transaction has one moment for all its statements, what it sees says nothing of the moment
/// of its grant, and is not noted.
const POSTGRES: &str = "
CREATE TABLE witness (
    n BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, kind TEXT NOT NULL, key TEXT NOT NULL,
    owner TEXT, token BIGINT, lock_owner TEXT, lock_token BIGINT, pid BIGINT, expires BIGINT, seq BIGINT,
    lock_key TEXT, tx XID8 NOT NULL DEFAULT pg_current_xact_id(), saw pg_snapshot);
CREATE INDEX witness_by_key ON witness (key, kind, token);
CREATE FUNCTION witness_lock() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before locks%ROWTYPE;
    name TEXT := NEW.resource_type || '/' || NEW.resource_id;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := OLD;
    ELSIF NEW.owner_id IS NULL THEN
        RETURN NULL;
    END IF;
    IF NEW.token IS DISTINCT FROM before.token THEN
        INSERT INTO witness (kind, key, owner, token, lock_owner, lock_token, pid, expires, saw) VALUES ('grant',
            name, NEW.owner_id, NEW.token, before.owner_id, before.token, NEW.pid, NEW.expires_boottime_ms,
            CASE current_setting('transaction_isolation') WHEN 'read committed' THEN pg_current_snapshot() END);
    ELSIF NEW.owner_id IS NOT NULL THEN
        INSERT INTO witness (kind, key, owner, token, lock_owner, pid, expires) VALUES ('renewal',
            name, NEW.owner_id, NEW.token, before.owner_id, NEW.pid, NEW.expires_boottime_ms);
    END IF;
    IF NEW.owner_id IS NULL AND before.owner_id IS NOT NULL THEN
        INSERT INTO witness (kind, key, owner, token) VALUES ('end', name, before.owner_id, before.token);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER witness_lock AFTER INSERT OR UPDATE ON locks FOR EACH ROW EXECUTE FUNCTION witness_lock();
CREATE FUNCTION witness_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO witness (kind, key, owner, token, lock_owner, lock_token, seq, lock_key)
    SELECT 'event', 'plan/' || NEW.plan_id, NEW.owner_id, NEW.token, owner_id, token, NEW.seq, 'plan/' || resource_id
    FROM locks WHERE resource_type = 'plan' AND resource_id = CASE NEW.seq
        WHEN 1 THEN (SELECT coalesce(parent, id) FROM plans WHERE id = NEW.plan_id) ELSE NEW.plan_id END;
    RETURN NULL;
END
$$;
CREATE TRIGGER witness_event AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION witness_event();
";
