-- The core of the store: what is registered, plans with their logs, and locks.
--
-- Times are milliseconds since the Unix epoch, UTC, unless a name ends in `boottime_ms`. Words
-- and pairs of words are those of the domain; the CHECKs are a second fence behind its types.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE projects (
    name       TEXT    NOT NULL PRIMARY KEY,
    path       TEXT    NOT NULL,
    common_dir TEXT    NOT NULL UNIQUE,
    branch     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE actions (
    name       TEXT    NOT NULL PRIMARY KEY,
    source     TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plans (
    id                   TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 26),
    name                 TEXT,
    action               TEXT    NOT NULL,
    automation           TEXT    NOT NULL CHECK (automation IN ('manual', 'review', 'auto')),
    parent               TEXT    REFERENCES plans (id),
    phase                TEXT    NOT NULL,
    state                TEXT    NOT NULL,
    attempt              INTEGER NOT NULL CHECK (attempt >= 0),
    version              INTEGER NOT NULL CHECK (version >= 1),
    -- The highest fencing token that wrote this row; NULL while none did.
    token                INTEGER CHECK (token >= 1),
    reversion_count      INTEGER NOT NULL CHECK (reversion_count >= 0),
    attempt_started_at   INTEGER,
    attempt_commanded    INTEGER CHECK (attempt_commanded IN (0, 1)),
    driver_host          TEXT,
    driver_boot_id       TEXT,
    driver_pid_namespace TEXT,
    driver_pid           INTEGER CHECK (driver_pid >= 0),
    driver_started       INTEGER CHECK (driver_started >= 0),
    driver_user          TEXT,
    driver_operation     TEXT,
    error_code           TEXT,
    error_message        TEXT,
    error_hint           TEXT,
    error_retryable      INTEGER CHECK (error_retryable IN (0, 1)),
    parked_until         INTEGER,
    parked_input         TEXT,
    parked_cause         TEXT,
    strategy             TEXT,
    validations          TEXT    NOT NULL CHECK (json_valid(validations)),
    cancel_reason        TEXT,
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    CHECK (phase || '/' || state IN (
        'strategize/queued', 'strategize/processing', 'strategize/complete', 'strategize/errored',
        'strategize/cancelled',
        'execute/queued', 'execute/processing', 'execute/complete', 'execute/errored',
        'execute/cancelled',
        'apply/queued', 'apply/processing', 'apply/errored', 'apply/cancelled', 'apply/applied',
        'apply/constrained')),
    CHECK (state <> 'processing' OR attempt_started_at IS NOT NULL),
    CHECK (state NOT IN ('errored', 'constrained') OR error_code IS NOT NULL)
) STRICT;

-- Lists are newest first; each filter finds its plans in that order.
CREATE INDEX plans_by_age ON plans (created_at, id);
CREATE INDEX plans_roots_by_age ON plans (created_at, id) WHERE parent IS NULL;
CREATE INDEX plans_by_parent ON plans (parent, created_at, id) WHERE parent IS NOT NULL;
CREATE INDEX plans_by_phase ON plans (phase, created_at, id);
CREATE INDEX plans_by_state ON plans (state, created_at, id);
CREATE INDEX plans_by_action ON plans (action, created_at, id);

CREATE TRIGGER plans_never_go_back BEFORE UPDATE ON plans
WHEN NEW.version < OLD.version OR (OLD.token IS NOT NULL AND coalesce(NEW.token < OLD.token, 1))
BEGIN
    SELECT raise(ABORT, 'a plan never goes back to an earlier version or fencing token');
END;

-- How many plans there are of each kind, so that a list can say how many it leaves out without
-- counting a million rows.
CREATE TABLE plan_counts (
    action  TEXT    NOT NULL,
    phase   TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    subplan INTEGER NOT NULL CHECK (subplan IN (0, 1)),
    plans   INTEGER NOT NULL CHECK (plans >= 0),
    PRIMARY KEY (action, phase, state, subplan)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER plans_are_counted AFTER INSERT ON plans
BEGIN
    INSERT INTO plan_counts VALUES (NEW.action, NEW.phase, NEW.state, NEW.parent IS NOT NULL, 1)
    ON CONFLICT DO UPDATE SET plans = plans + 1;
END;

CREATE TRIGGER plans_are_recounted AFTER UPDATE ON plans
WHEN (NEW.action, NEW.phase, NEW.state, NEW.parent IS NULL)
    IS NOT (OLD.action, OLD.phase, OLD.state, OLD.parent IS NULL)
BEGIN
    UPDATE plan_counts SET plans = plans - 1
    WHERE (action, phase, state, subplan) = (OLD.action, OLD.phase, OLD.state, OLD.parent IS NOT NULL);
    INSERT INTO plan_counts VALUES (NEW.action, NEW.phase, NEW.state, NEW.parent IS NOT NULL, 1)
    ON CONFLICT DO UPDATE SET plans = plans + 1;
END;

-- What a plan was ordered to do, as it was then.
CREATE TABLE plan_definitions (
    plan_id       TEXT NOT NULL PRIMARY KEY REFERENCES plans (id),
    action_source TEXT NOT NULL,
    arguments     TEXT NOT NULL CHECK (json_valid(arguments))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER plan_definitions_are_frozen BEFORE UPDATE ON plan_definitions
BEGIN
    SELECT raise(ABORT, 'what a plan was ordered to do never changes');
END;

-- The projects of a plan: as they were registered then, and how far the plan is in each.
CREATE TABLE plan_projects (
    plan_id     TEXT    NOT NULL REFERENCES plans (id),
    position    INTEGER NOT NULL CHECK (position >= 0),
    project     TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    common_dir  TEXT    NOT NULL,
    branch      TEXT    NOT NULL,
    base        TEXT,
    tip         TEXT,
    intent_id   TEXT,
    landing_ref TEXT,
    landing_old TEXT,
    landing_new TEXT,
    landed      INTEGER NOT NULL DEFAULT 0 CHECK (landed IN (0, 1)),
    PRIMARY KEY (plan_id, position),
    CHECK ((intent_id IS NULL) = (landing_ref IS NULL)),
    CHECK ((intent_id IS NULL) = (landing_old IS NULL)),
    CHECK ((intent_id IS NULL) = (landing_new IS NULL)),
    CHECK (landed = 0 OR intent_id IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX plan_projects_by_project ON plan_projects (project, plan_id);

CREATE TRIGGER plan_projects_are_frozen
BEFORE UPDATE OF plan_id, position, project, path, common_dir, branch ON plan_projects
BEGIN
    SELECT raise(ABORT, 'what a plan was ordered to do never changes');
END;

-- What people added for the next attempt.
CREATE TABLE plan_guidance (
    plan_id  TEXT    NOT NULL REFERENCES plans (id),
    position INTEGER NOT NULL CHECK (position >= 0),
    text     TEXT    NOT NULL,
    PRIMARY KEY (plan_id, position)
) STRICT, WITHOUT ROWID;

-- The log: exactly one event for each version of a plan.
CREATE TABLE events (
    plan_id        TEXT    NOT NULL REFERENCES plans (id),
    seq            INTEGER NOT NULL CHECK (seq >= 1),
    event_id       TEXT    NOT NULL UNIQUE CHECK (length(event_id) = 26),
    kind           TEXT    NOT NULL,
    at             INTEGER NOT NULL,
    owner_id       TEXT,
    token          INTEGER CHECK (token >= 1),
    schema_version INTEGER NOT NULL CHECK (schema_version >= 1),
    payload        TEXT    NOT NULL CHECK (json_valid(payload)),
    PRIMARY KEY (plan_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT raise(ABORT, 'the event log is append-only');
END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT raise(ABORT, 'the event log is append-only');
END;

-- One row for each plan and project, made and removed with it. Held: owner_id is set.
-- `boot_id` says on which boot's clock `expires_boottime_ms` lies; the rest is for people and
-- for proofs of death.
CREATE TABLE locks (
    resource_type       TEXT    NOT NULL CHECK (resource_type IN ('plan', 'project')),
    resource_id         TEXT    NOT NULL,
    owner_id            TEXT,
    token               INTEGER NOT NULL CHECK (token >= 0),
    acquired_at         INTEGER,
    expires_at          INTEGER,
    boot_id             TEXT,
    expires_boottime_ms INTEGER,
    operation           TEXT,
    host                TEXT,
    holder_boot_id      TEXT,
    pid_namespace       TEXT,
    pid                 INTEGER CHECK (pid >= 0),
    started             INTEGER CHECK (started >= 0),
    user                TEXT,
    PRIMARY KEY (resource_type, resource_id),
    CHECK ((owner_id IS NULL) = (acquired_at IS NULL)),
    CHECK ((owner_id IS NULL) = (expires_at IS NULL)),
    CHECK ((owner_id IS NULL) = (boot_id IS NULL)),
    CHECK ((owner_id IS NULL) = (expires_boottime_ms IS NULL)),
    CHECK ((owner_id IS NULL) = (pid IS NULL)),
    CHECK (owner_id IS NULL OR token >= 1)
) STRICT, WITHOUT ROWID;

CREATE INDEX locks_held ON locks (owner_id) WHERE owner_id IS NOT NULL;

CREATE TRIGGER lock_tokens_only_grow BEFORE UPDATE ON locks
WHEN NEW.token < OLD.token
BEGIN
    SELECT raise(ABORT, 'the fencing token of a lock never restarts');
END;

PRAGMA user_version = 1;
