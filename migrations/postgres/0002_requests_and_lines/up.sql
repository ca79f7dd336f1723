-- What others ask of the holder of a lock, who waits in line for one, and where an attempt that
-- goes on with unfinished work begins.

-- A process without a lock asks its holder to cancel the plan, or to let go (`lock break`). It is
-- no transition: no fence, no version. Open until `closed_at`. A lock that is broken by force is
-- noted here too, closed from the start: what was done to a lock from outside is read from this
-- table.
CREATE TABLE requests (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY CHECK (length(id) = 26),
    resource_type TEXT COLLATE "C" NOT NULL CHECK (resource_type IN ('plan', 'project')),
    resource_id   TEXT COLLATE "C" NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL CHECK (kind IN ('cancel', 'break')),
    -- The term that is to end, of a break; a later one is not meant.
    token         BIGINT           CHECK (token >= 1),
    keep_landed   BOOLEAN          NOT NULL DEFAULT false,
    reason        TEXT COLLATE "C",
    host          TEXT COLLATE "C" NOT NULL,
    pid           BIGINT           NOT NULL CHECK (pid >= 0),
    "user"        TEXT COLLATE "C" NOT NULL,
    made_at       BIGINT           NOT NULL,
    closed_at     BIGINT,
    outcome       TEXT COLLATE "C",
    CHECK ((closed_at IS NULL) = (outcome IS NULL)),
    CHECK ((kind = 'break') = (token IS NOT NULL))
);

-- Asking twice is asking once.
CREATE UNIQUE INDEX requests_open ON requests (resource_type, resource_id, kind, coalesce(token, 0))
WHERE closed_at IS NULL;
CREATE INDEX requests_by_resource ON requests (resource_type, resource_id, made_at);

CREATE TRIGGER requests_are_never_deleted BEFORE DELETE ON requests FOR EACH ROW
EXECUTE FUNCTION agents_refuse('what was asked stays known');

-- The line: who waits for locks, in the order of the numbers. A ticket lives as long as its owner
-- says so (`expires_boottime_ms`, here on the clock of the server) and is not proven dead.
CREATE TABLE tickets (
    number              BIGINT           NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    owner_id            TEXT COLLATE "C" NOT NULL,
    since               BIGINT           NOT NULL,
    boot_id             TEXT COLLATE "C" NOT NULL CHECK (boot_id = ''),
    expires_boottime_ms BIGINT           NOT NULL,
    operation           TEXT COLLATE "C" NOT NULL,
    host                TEXT COLLATE "C" NOT NULL,
    holder_boot_id      TEXT COLLATE "C" NOT NULL,
    pid_namespace       TEXT COLLATE "C" NOT NULL,
    pid                 BIGINT           NOT NULL CHECK (pid >= 0),
    started             BIGINT           NOT NULL CHECK (started >= 0),
    "user"              TEXT COLLATE "C" NOT NULL
);

-- What each of them waits for: all of it at once.
CREATE TABLE ticket_keys (
    resource_type TEXT COLLATE "C" NOT NULL CHECK (resource_type IN ('plan', 'project')),
    resource_id   TEXT COLLATE "C" NOT NULL,
    number        BIGINT           NOT NULL REFERENCES tickets (number) ON DELETE CASCADE,
    PRIMARY KEY (resource_type, resource_id, number)
);

CREATE INDEX ticket_keys_by_number ON ticket_keys (number);

-- The snapshot of the newest attempt that left unfinished work in this project; and the commit at
-- which the next attempt begins, if it is to go on with that (`plan retry --continue`).
ALTER TABLE plan_projects ADD COLUMN snapshot TEXT COLLATE "C";
ALTER TABLE plan_projects ADD COLUMN resume TEXT COLLATE "C";

UPDATE meta SET value = '2' WHERE key = 'schema_version';
