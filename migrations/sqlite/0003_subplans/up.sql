-- Subplans: plans that are parts of others. All that a plan is, a subplan is too; here is what it is
-- besides. `plans.parent` says the same as `parent` here: lists and counts go by it.

CREATE TABLE subplans (
    plan_id       TEXT    NOT NULL PRIMARY KEY REFERENCES plans (id),
    parent        TEXT    NOT NULL REFERENCES plans (id),
    -- The plan without a parent above it, and how far below that this is.
    root          TEXT    NOT NULL REFERENCES plans (id),
    depth         INTEGER NOT NULL CHECK (depth >= 1),
    position      INTEGER NOT NULL CHECK (position >= 0),
    name          TEXT    NOT NULL CHECK (name <> ''),
    -- A JSON list of names of siblings.
    depends_on    TEXT    NOT NULL CHECK (json_valid(depends_on)),
    -- Failed attempts since it was last given new ones.
    failures      INTEGER NOT NULL CHECK (failures >= 0),
    -- Why its scheduler gave it up, and the name of the sibling because of which it did.
    given_up_kind TEXT    CHECK (given_up_kind IN ('skipped', 'fail_fast')),
    given_up_by   TEXT,
    -- 0: it belongs to the past of its parent, which has gone back to its start since, or has given
    -- its place to another.
    current       INTEGER NOT NULL DEFAULT 1 CHECK (current IN (0, 1)),
    CHECK ((depth = 1) = (parent = root)),
    CHECK ((given_up_kind IS NULL) = (given_up_by IS NULL))
) STRICT, WITHOUT ROWID;

-- A name is taken once among siblings; and this is the way from a parent to its children.
CREATE UNIQUE INDEX subplans_by_name ON subplans (parent, name) WHERE current = 1;
CREATE INDEX subplans_by_root ON subplans (root);

CREATE TRIGGER subplans_fit_their_parent BEFORE INSERT ON subplans
WHEN (NEW.parent, NEW.root, NEW.depth) IS NOT (
    SELECT plans.parent, coalesce(above.root, plans.parent), coalesce(above.depth, 0) + 1
    FROM plans LEFT JOIN subplans AS above ON above.plan_id = plans.parent WHERE plans.id = NEW.plan_id)
BEGIN
    SELECT raise(ABORT, 'a subplan is one level below its parent, under the same root');
END;

CREATE TRIGGER subplans_are_frozen
BEFORE UPDATE OF plan_id, parent, root, depth, position, name, depends_on ON subplans
BEGIN
    SELECT raise(ABORT, 'whose child a plan is never changes');
END;

CREATE TRIGGER subplans_stay_in_the_past BEFORE UPDATE OF current ON subplans
WHEN NEW.current > OLD.current
BEGIN
    SELECT raise(ABORT, 'a subplan of the past never comes back');
END;

CREATE TRIGGER subplans_are_never_deleted BEFORE DELETE ON subplans
BEGIN
    SELECT raise(ABORT, 'whose child a plan is stays known');
END;

-- What a subplan has from its parent instead of its action; NULL: nothing.
ALTER TABLE plan_definitions ADD COLUMN definition_of_done TEXT;

PRAGMA user_version = 3;
