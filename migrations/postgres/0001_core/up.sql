-- The core of the store: what is registered, plans with their logs, and locks.
--
-- The tables are those of `migrations/sqlite`, column for column. Times are milliseconds since the
-- Unix epoch, UTC. Words and pairs of words are those of the domain; the CHECKs are a second fence
-- behind its types. A broken rule raises a check_violation, whoever says so. JSON is kept as text:
-- it is read back as it was written, and a text may hold what JSON values of the database may not.
-- Texts are in the order of their bytes, as everywhere in this program, whatever the database's own.

CREATE TABLE meta (
    key   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- The mark by which a database is known to be ours: it can be read without reading the table.
COMMENT ON TABLE meta IS 'agents';

-- The clock that leases are judged by: the server's, in milliseconds since the Unix epoch. Not that
-- of the transaction, which may have waited.
CREATE FUNCTION agents_now() RETURNS BIGINT LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE FUNCTION agents_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = TG_ARGV[0];
END
$$;

CREATE TABLE projects (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    path       TEXT COLLATE "C" NOT NULL,
    common_dir TEXT COLLATE "C" NOT NULL UNIQUE,
    branch     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT           NOT NULL
);

CREATE TABLE actions (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    source     TEXT COLLATE "C" NOT NULL,
    updated_at BIGINT           NOT NULL
);

CREATE TABLE plans (
    id                   TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 26),
    name                 TEXT COLLATE "C",
    action               TEXT COLLATE "C" NOT NULL,
    automation           TEXT COLLATE "C" NOT NULL CHECK (automation IN ('manual', 'review', 'auto')),
    parent               TEXT COLLATE "C" REFERENCES plans (id),
    phase                TEXT COLLATE "C" NOT NULL,
    state                TEXT COLLATE "C" NOT NULL,
    attempt              BIGINT           NOT NULL CHECK (attempt >= 0),
    version              BIGINT           NOT NULL CHECK (version >= 1),
    -- The highest fencing token that wrote this row; NULL while none did.
    token                BIGINT           CHECK (token >= 1),
    reversion_count      BIGINT           NOT NULL CHECK (reversion_count >= 0),
    attempt_started_at   BIGINT,
    attempt_commanded    BOOLEAN,
    driver_host          TEXT COLLATE "C",
    driver_boot_id       TEXT COLLATE "C",
    driver_pid_namespace TEXT COLLATE "C",
    driver_pid           BIGINT           CHECK (driver_pid >= 0),
    driver_started       BIGINT           CHECK (driver_started >= 0),
    driver_user          TEXT COLLATE "C",
    driver_operation     TEXT COLLATE "C",
    error_code           TEXT COLLATE "C",
    error_message        TEXT COLLATE "C",
    error_hint           TEXT COLLATE "C",
    error_retryable      BOOLEAN,
    parked_until         BIGINT,
    parked_input         TEXT COLLATE "C",
    parked_cause         TEXT COLLATE "C",
    strategy             TEXT COLLATE "C",
    validations          TEXT COLLATE "C" NOT NULL CHECK (validations::json IS NOT NULL),
    cancel_reason        TEXT COLLATE "C",
    created_at           BIGINT           NOT NULL,
    updated_at           BIGINT           NOT NULL,
    CHECK (phase || '/' || state IN (
        'strategize/queued', 'strategize/processing', 'strategize/complete', 'strategize/errored',
        'strategize/cancelled',
        'execute/queued', 'execute/processing', 'execute/complete', 'execute/errored',
        'execute/cancelled',
        'apply/queued', 'apply/processing', 'apply/errored', 'apply/cancelled', 'apply/applied',
        'apply/constrained')),
    CHECK (state <> 'processing' OR attempt_started_at IS NOT NULL),
    CHECK (state NOT IN ('errored', 'constrained') OR error_code IS NOT NULL)
) WITH (fillfactor = 80);

-- Lists are newest first; each filter finds its plans in that order.
CREATE INDEX plans_by_age ON plans (created_at, id);
CREATE INDEX plans_roots_by_age ON plans (created_at, id) WHERE parent IS NULL;
CREATE INDEX plans_by_parent ON plans (parent, created_at, id) WHERE parent IS NOT NULL;
CREATE INDEX plans_by_phase ON plans (phase, created_at, id);
CREATE INDEX plans_by_state ON plans (state, created_at, id);
CREATE INDEX plans_by_action ON plans (action, created_at, id);

CREATE TRIGGER plans_never_go_back BEFORE UPDATE ON plans FOR EACH ROW
WHEN (NEW.version < OLD.version OR (OLD.token IS NOT NULL AND coalesce(NEW.token < OLD.token, true)))
EXECUTE FUNCTION agents_refuse('a plan never goes back to an earlier version or fencing token');

-- How many plans there are of each kind, so that a list can say how many it leaves out without
-- counting a million rows: the sum of the rows of that kind. A transition adds rows and changes none,
-- so that no two of them ever wait for each other here; now and then one of them draws the rows
-- together that nobody else is at.
CREATE TABLE plan_counts (
    action  TEXT COLLATE "C" NOT NULL,
    phase   TEXT COLLATE "C" NOT NULL,
    state   TEXT COLLATE "C" NOT NULL,
    subplan BOOLEAN          NOT NULL,
    plans   BIGINT           NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE INDEX plan_counts_by_kind ON plan_counts (action, phase, state, subplan);

CREATE FUNCTION agents_draw_counts_together() RETURNS void LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM plan_counts WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM plan_counts LIMIT 1000 FOR UPDATE SKIP LOCKED))
        RETURNING *)
    INSERT INTO plan_counts
    SELECT action, phase, state, subplan, sum(plans) FROM gone GROUP BY 1, 2, 3, 4 HAVING sum(plans) <> 0
$$;

CREATE FUNCTION agents_count_plans() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO plan_counts VALUES (OLD.action, OLD.phase, OLD.state, OLD.parent IS NOT NULL, -1);
    END IF;
    INSERT INTO plan_counts VALUES (NEW.action, NEW.phase, NEW.state, NEW.parent IS NOT NULL, 1);
    IF random() < 0.01 THEN
        PERFORM agents_draw_counts_together();
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER plans_are_counted AFTER INSERT ON plans FOR EACH ROW
EXECUTE FUNCTION agents_count_plans();

CREATE TRIGGER plans_are_recounted AFTER UPDATE ON plans FOR EACH ROW
WHEN ((NEW.action, NEW.phase, NEW.state, NEW.parent IS NULL)
    IS DISTINCT FROM (OLD.action, OLD.phase, OLD.state, OLD.parent IS NULL))
EXECUTE FUNCTION agents_count_plans();

-- What a plan was ordered to do, as it was then.
CREATE TABLE plan_definitions (
    plan_id       TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES plans (id),
    action_source TEXT COLLATE "C" NOT NULL,
    arguments     TEXT COLLATE "C" NOT NULL CHECK (arguments::json IS NOT NULL)
);

CREATE TRIGGER plan_definitions_are_frozen BEFORE UPDATE ON plan_definitions FOR EACH ROW
EXECUTE FUNCTION agents_refuse('what a plan was ordered to do never changes');

-- The projects of a plan: as they were registered then, and how far the plan is in each.
CREATE TABLE plan_projects (
    plan_id     TEXT COLLATE "C" NOT NULL REFERENCES plans (id),
    position    BIGINT           NOT NULL CHECK (position >= 0),
    project     TEXT COLLATE "C" NOT NULL,
    path        TEXT COLLATE "C" NOT NULL,
    common_dir  TEXT COLLATE "C" NOT NULL,
    branch      TEXT COLLATE "C" NOT NULL,
    base        TEXT COLLATE "C",
    tip         TEXT COLLATE "C",
    intent_id   TEXT COLLATE "C",
    landing_ref TEXT COLLATE "C",
    landing_old TEXT COLLATE "C",
    landing_new TEXT COLLATE "C",
    landed      BOOLEAN          NOT NULL DEFAULT false,
    PRIMARY KEY (plan_id, position),
    CHECK ((intent_id IS NULL) = (landing_ref IS NULL)),
    CHECK ((intent_id IS NULL) = (landing_old IS NULL)),
    CHECK ((intent_id IS NULL) = (landing_new IS NULL)),
    CHECK (NOT landed OR intent_id IS NOT NULL)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX plan_projects_by_project ON plan_projects (project, plan_id);

CREATE TRIGGER plan_projects_are_frozen
BEFORE UPDATE OF plan_id, position, project, path, common_dir, branch ON plan_projects FOR EACH ROW
EXECUTE FUNCTION agents_refuse('what a plan was ordered to do never changes');

-- What people added for the next attempt.
CREATE TABLE plan_guidance (
    plan_id  TEXT COLLATE "C" NOT NULL REFERENCES plans (id),
    position BIGINT           NOT NULL CHECK (position >= 0),
    text     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (plan_id, position)
);

-- The log: exactly one event for each version of a plan. `tx` is the transaction that wrote it, and
-- not one of the shared columns: who follows all logs reads below the oldest one that still runs.
CREATE TABLE events (
    plan_id        TEXT COLLATE "C" NOT NULL REFERENCES plans (id),
    seq            BIGINT           NOT NULL CHECK (seq >= 1),
    event_id       TEXT COLLATE "C" NOT NULL UNIQUE CHECK (length(event_id) = 26),
    kind           TEXT COLLATE "C" NOT NULL,
    at             BIGINT           NOT NULL,
    owner_id       TEXT COLLATE "C",
    token          BIGINT           CHECK (token >= 1),
    schema_version BIGINT           NOT NULL CHECK (schema_version >= 1),
    payload        TEXT COLLATE "C" NOT NULL CHECK (payload::json IS NOT NULL),
    tx             XID8             NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (plan_id, seq)
);

CREATE INDEX events_by_transaction ON events (tx, plan_id, seq);

CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE ON events FOR EACH ROW
EXECUTE FUNCTION agents_refuse('the event log is append-only');

-- One row for each plan and project, made and removed with it. Held: owner_id is set. A term ends on
-- the clock of the server, which is one for all machines and needs no name: what on SQLite is the end
-- on the clock of a boot is here the same as `expires_at`. The rest is for people and for proofs of
-- death.
CREATE TABLE locks (
    resource_type       TEXT COLLATE "C" NOT NULL CHECK (resource_type IN ('plan', 'project')),
    resource_id         TEXT COLLATE "C" NOT NULL,
    owner_id            TEXT COLLATE "C",
    token               BIGINT           NOT NULL CHECK (token >= 0),
    acquired_at         BIGINT,
    expires_at          BIGINT,
    boot_id             TEXT COLLATE "C" CHECK (boot_id = ''),
    expires_boottime_ms BIGINT           CHECK (expires_boottime_ms = expires_at),
    operation           TEXT COLLATE "C",
    host                TEXT COLLATE "C",
    holder_boot_id      TEXT COLLATE "C",
    pid_namespace       TEXT COLLATE "C",
    pid                 BIGINT           CHECK (pid >= 0),
    started             BIGINT           CHECK (started >= 0),
    "user"              TEXT COLLATE "C",
    PRIMARY KEY (resource_type, resource_id),
    CHECK ((owner_id IS NULL) = (acquired_at IS NULL)),
    CHECK ((owner_id IS NULL) = (expires_at IS NULL)),
    CHECK ((owner_id IS NULL) = (boot_id IS NULL)),
    CHECK ((owner_id IS NULL) = (expires_boottime_ms IS NULL)),
    CHECK ((owner_id IS NULL) = (pid IS NULL)),
    CHECK (owner_id IS NULL OR token >= 1)
) WITH (fillfactor = 70);

CREATE INDEX locks_held ON locks (owner_id) WHERE owner_id IS NOT NULL;

CREATE TRIGGER lock_tokens_only_grow BEFORE UPDATE ON locks FOR EACH ROW
WHEN (NEW.token < OLD.token)
EXECUTE FUNCTION agents_refuse('the fencing token of a lock never restarts');

INSERT INTO meta VALUES ('schema_version', '1');
