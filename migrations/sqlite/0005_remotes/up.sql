-- Projects on several machines: which machine registered a project, and the remote that all of them
-- share.
--
-- A repository is one project on its machine; another machine may have one at the same path. The
-- rule is part of the table, so the table is made anew.

CREATE TABLE projects_on_machines (
    name           TEXT    NOT NULL PRIMARY KEY,
    path           TEXT    NOT NULL,
    common_dir     TEXT    NOT NULL,
    branch         TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    -- NULL: registered before machines were told apart.
    machine_id     TEXT,
    machine_host   TEXT,
    -- NULL: it is worked on only where it was registered.
    remote         TEXT    UNIQUE,
    push_snapshots INTEGER NOT NULL DEFAULT 0 CHECK (push_snapshots IN (0, 1)),
    CHECK ((machine_id IS NULL) = (machine_host IS NULL)),
    CHECK (push_snapshots = 0 OR remote IS NOT NULL)
) STRICT, WITHOUT ROWID;

INSERT INTO projects_on_machines (name, path, common_dir, branch, created_at)
SELECT name, path, common_dir, branch, created_at FROM projects;
DROP TABLE projects;
ALTER TABLE projects_on_machines RENAME TO projects;

CREATE UNIQUE INDEX projects_by_repository ON projects (common_dir, coalesce(machine_id, ''));

-- The same of the projects of a plan, as they were registered when it was made.
ALTER TABLE plan_projects ADD COLUMN machine_id TEXT;
ALTER TABLE plan_projects ADD COLUMN machine_host TEXT;
ALTER TABLE plan_projects ADD COLUMN remote TEXT;
ALTER TABLE plan_projects ADD COLUMN push_snapshots INTEGER NOT NULL DEFAULT 0
    CHECK (push_snapshots IN (0, 1));

-- The machine is left out: a file that is moved for good takes its projects along.
CREATE TRIGGER plan_projects_keep_their_remote
BEFORE UPDATE OF remote, push_snapshots ON plan_projects
BEGIN
    SELECT raise(ABORT, 'what a plan was ordered to do never changes');
END;

PRAGMA user_version = 5;
