-- Orders for workers, and the workers. What makes a transition safe is the lock of the plan; here is
-- how workers find work.

CREATE TABLE workers (
    -- The owner of its locks.
    id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 26),
    operation     TEXT    NOT NULL,
    host          TEXT    NOT NULL,
    boot_id       TEXT    NOT NULL,
    pid_namespace TEXT    NOT NULL,
    pid           INTEGER NOT NULL CHECK (pid >= 0),
    started       INTEGER NOT NULL CHECK (started >= 0),
    user          TEXT    NOT NULL,
    since         INTEGER NOT NULL,
    seen_at       INTEGER NOT NULL,
    concurrency   INTEGER NOT NULL CHECK (concurrency >= 1),
    draining      INTEGER NOT NULL CHECK (draining IN (0, 1)),
    -- When it was counted out.
    lost_at       INTEGER
) STRICT, WITHOUT ROWID;

-- At most one order for each plan, open until `closed_at`; another one takes its place then.
CREATE TABLE orders (
    plan_id      TEXT    NOT NULL PRIMARY KEY REFERENCES plans (id),
    -- The phase through which the plan shall go.
    goal         TEXT    NOT NULL CHECK (goal IN ('strategize', 'execute', 'apply')),
    allow_empty  INTEGER NOT NULL CHECK (allow_empty IN (0, 1)),
    -- How it is tried again first; NULL: it is not.
    again        TEXT    CHECK (again IN ('anew', 'continue', 'only_failed')),
    -- What the plan's log says after that version came of the order.
    plan_version INTEGER NOT NULL CHECK (plan_version >= 1),
    host         TEXT    NOT NULL,
    pid          INTEGER NOT NULL CHECK (pid >= 0),
    user         TEXT    NOT NULL,
    ordered_at   INTEGER NOT NULL,
    -- Grows whenever something is added: an end that was decided before is void.
    revision     INTEGER NOT NULL CHECK (revision >= 1),
    -- The line: who stands in it longest comes first.
    ready_at     INTEGER NOT NULL,
    not_before   INTEGER,
    -- How often in a row it was put back because of trouble that is not the plan's, and what that was.
    troubles     INTEGER NOT NULL CHECK (troubles >= 0),
    trouble      TEXT,
    -- Who has it in hand. It may be a worker that is in no list any more.
    worker       TEXT    CHECK (length(worker) = 26),
    claimed_at   INTEGER,
    closed_at    INTEGER,
    outcome      TEXT,
    CHECK ((worker IS NULL) = (claimed_at IS NULL)),
    CHECK ((closed_at IS NULL) = (outcome IS NULL)),
    CHECK (closed_at IS NULL OR worker IS NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX orders_in_line ON orders (ready_at, plan_id) WHERE closed_at IS NULL AND worker IS NULL;
CREATE INDEX orders_in_hand ON orders (worker, claimed_at, plan_id) WHERE worker IS NOT NULL;

CREATE TRIGGER orders_are_never_deleted BEFORE DELETE ON orders
BEGIN
    SELECT raise(ABORT, 'what was ordered stays known');
END;

-- An order ends with its plan, whoever brings the plan there.
CREATE TRIGGER orders_end_with_their_plan AFTER UPDATE OF state, reversion_count ON plans
WHEN NEW.state IN ('applied', 'cancelled') OR NEW.reversion_count > OLD.reversion_count
BEGIN
    UPDATE orders SET closed_at = NEW.updated_at, worker = NULL, claimed_at = NULL,
        outcome = CASE WHEN NEW.state IN ('applied', 'cancelled') THEN NEW.state ELSE 'reverted' END
    WHERE plan_id = NEW.id AND closed_at IS NULL;
END;

PRAGMA user_version = 4;
