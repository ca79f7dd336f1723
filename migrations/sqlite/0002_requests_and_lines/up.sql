-- What others ask of the holder of a lock, who waits in line for one, and where an attempt that
-- goes on with unfinished work begins.

-- A process without a lock asks its holder to cancel the plan, or to let go (`lock break`). It is
-- no transition: no fence, no version. Open until `closed_at`. A lock that is broken by force is
-- noted here too, closed from the start: what was done to a lock from outside is read from this
-- table.
CREATE TABLE requests (
    id            TEXT    NOT NULL PRIMARY KEY CHECK (length(id) = 26),
    resource_type TEXT    NOT NULL CHECK (resource_type IN ('plan', 'project')),
    resource_id   TEXT    NOT NULL,
    kind          TEXT    NOT NULL CHECK (kind IN ('cancel', 'break')),
    -- The term that is to end, of a break; a later one is not meant.
    token         INTEGER CHECK (token >= 1),
    keep_landed   INTEGER NOT NULL DEFAULT 0 CHECK (keep_landed IN (0, 1)),
    reason        TEXT,
    host          TEXT    NOT NULL,
    pid           INTEGER NOT NULL CHECK (pid >= 0),
    user          TEXT    NOT NULL,
    made_at       INTEGER NOT NULL,
    closed_at     INTEGER,
    outcome       TEXT,
    CHECK ((closed_at IS NULL) = (outcome IS NULL)),
    CHECK ((kind = 'break') = (token IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Asking twice is asking once.
CREATE UNIQUE INDEX requests_open ON requests (resource_type, resource_id, kind, coalesce(token, 0))
WHERE closed_at IS NULL;
CREATE INDEX requests_by_resource ON requests (resource_type, resource_id, made_at);

CREATE TRIGGER requests_are_never_deleted BEFORE DELETE ON requests
BEGIN
    SELECT raise(ABORT, 'what was asked stays known');
END;

-- The line: who waits for locks, in the order of the numbers. A ticket lives as long as its owner
-- says so (`expires_boottime_ms`, on the clock of `boot_id`) and is not proven dead.
CREATE TABLE tickets (
    number              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    owner_id            TEXT    NOT NULL,
    since               INTEGER NOT NULL,
    boot_id             TEXT    NOT NULL,
    expires_boottime_ms INTEGER NOT NULL,
    operation           TEXT    NOT NULL,
    host                TEXT    NOT NULL,
    holder_boot_id      TEXT    NOT NULL,
    pid_namespace       TEXT    NOT NULL,
    pid                 INTEGER NOT NULL CHECK (pid >= 0),
    started             INTEGER NOT NULL CHECK (started >= 0),
    user                TEXT    NOT NULL
) STRICT;

-- What each of them waits for: all of it at once.
CREATE TABLE ticket_keys (
    resource_type TEXT    NOT NULL CHECK (resource_type IN ('plan', 'project')),
    resource_id   TEXT    NOT NULL,
    number        INTEGER NOT NULL REFERENCES tickets (number) ON DELETE CASCADE,
    PRIMARY KEY (resource_type, resource_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX ticket_keys_by_number ON ticket_keys (number);

-- The snapshot of the newest attempt that left unfinished work in this project; and the commit at
-- which the next attempt begins, if it is to go on with that (`plan retry --continue`).
ALTER TABLE plan_projects ADD COLUMN snapshot TEXT;
ALTER TABLE plan_projects ADD COLUMN resume TEXT;

PRAGMA user_version = 2;
