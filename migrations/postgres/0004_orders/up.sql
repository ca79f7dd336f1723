-- Orders for workers, and the workers. What makes a transition safe is the lock of the plan; here is
-- how workers find work.

CREATE TABLE workers (
    -- The owner of its locks.
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 26),
    operation     TEXT COLLATE "C" NOT NULL,
    host          TEXT COLLATE "C" NOT NULL,
    boot_id       TEXT COLLATE "C" NOT NULL,
    pid_namespace TEXT COLLATE "C" NOT NULL,
    pid           BIGINT           NOT NULL CHECK (pid >= 0),
    started       BIGINT           NOT NULL CHECK (started >= 0),
    "user"        TEXT COLLATE "C" NOT NULL,
    since         BIGINT           NOT NULL,
    seen_at       BIGINT           NOT NULL,
    concurrency   BIGINT           NOT NULL CHECK (concurrency >= 1),
    draining      BOOLEAN          NOT NULL,
    -- When it was counted out.
    lost_at       BIGINT
);

-- At most one order for each plan, open until `closed_at`; another one takes its place then.
CREATE TABLE orders (
    plan_id      TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES plans (id),
    -- The phase through which the plan shall go.
    goal         TEXT COLLATE "C" NOT NULL CHECK (goal IN ('strategize', 'execute', 'apply')),
    allow_empty  BOOLEAN          NOT NULL,
    -- How it is tried again first; NULL: it is not.
    again        TEXT COLLATE "C" CHECK (again IN ('anew', 'continue', 'only_failed')),
    -- What the plan's log says after that version came of the order.
    plan_version BIGINT           NOT NULL CHECK (plan_version >= 1),
    host         TEXT COLLATE "C" NOT NULL,
    pid          BIGINT           NOT NULL CHECK (pid >= 0),
    "user"       TEXT COLLATE "C" NOT NULL,
    ordered_at   BIGINT           NOT NULL,
    -- Grows whenever something is added: an end that was decided before is void.
    revision     BIGINT           NOT NULL CHECK (revision >= 1),
    -- The line: who stands in it longest comes first.
    ready_at     BIGINT           NOT NULL,
    not_before   BIGINT,
    -- How often in a row it was put back because of trouble that is not the plan's, and what that was.
    troubles     BIGINT           NOT NULL CHECK (troubles >= 0),
    trouble      TEXT COLLATE "C",
    -- Who has it in hand. It may be a worker that is in no list any more.
    worker       TEXT COLLATE "C" CHECK (length(worker) = 26),
    claimed_at   BIGINT,
    closed_at    BIGINT,
    outcome      TEXT COLLATE "C",
    CHECK ((worker IS NULL) = (claimed_at IS NULL)),
    CHECK ((closed_at IS NULL) = (outcome IS NULL)),
    CHECK (closed_at IS NULL OR worker IS NULL)
);

CREATE INDEX orders_in_line ON orders (ready_at, plan_id) WHERE closed_at IS NULL AND worker IS NULL;
CREATE INDEX orders_in_hand ON orders (worker, claimed_at, plan_id) WHERE worker IS NOT NULL;

CREATE TRIGGER orders_are_never_deleted BEFORE DELETE ON orders FOR EACH ROW
EXECUTE FUNCTION agents_refuse('what was ordered stays known');

-- An order ends with its plan, whoever brings the plan there.
CREATE FUNCTION agents_end_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orders SET closed_at = NEW.updated_at, worker = NULL, claimed_at = NULL,
        outcome = CASE WHEN NEW.state IN ('applied', 'cancelled') THEN NEW.state ELSE 'reverted' END
    WHERE plan_id = NEW.id AND closed_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER orders_end_with_their_plan AFTER UPDATE OF state, reversion_count ON plans FOR EACH ROW
WHEN (NEW.state IN ('applied', 'cancelled') OR NEW.reversion_count > OLD.reversion_count)
EXECUTE FUNCTION agents_end_order();

UPDATE meta SET value = '4' WHERE key = 'schema_version';
