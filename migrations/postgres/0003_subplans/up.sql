-- Subplans: plans that are parts of others. All that a plan is, a subplan is too; here is what it is
-- besides. `plans.parent` says the same as `parent` here: lists and counts go by it.

CREATE TABLE subplans (
    plan_id       TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES plans (id),
    parent        TEXT COLLATE "C" NOT NULL REFERENCES plans (id),
    -- The plan without a parent above it, and how far below that this is.
    root          TEXT COLLATE "C" NOT NULL REFERENCES plans (id),
    depth         BIGINT           NOT NULL CHECK (depth >= 1),
    position      BIGINT           NOT NULL CHECK (position >= 0),
    name          TEXT COLLATE "C" NOT NULL CHECK (name <> ''),
    -- A JSON list of names of siblings.
    depends_on    TEXT COLLATE "C" NOT NULL CHECK (depends_on::json IS NOT NULL),
    -- Failed attempts since it was last given new ones.
    failures      BIGINT           NOT NULL CHECK (failures >= 0),
    -- Why its scheduler gave it up, and the name of the sibling because of which it did.
    given_up_kind TEXT COLLATE "C" CHECK (given_up_kind IN ('skipped', 'fail_fast')),
    given_up_by   TEXT COLLATE "C",
    -- False: it belongs to the past of its parent, which has gone back to its start since, or has
    -- given its place to another.
    current       BOOLEAN          NOT NULL DEFAULT true,
    CHECK ((depth = 1) = (parent = root)),
    CHECK ((given_up_kind IS NULL) = (given_up_by IS NULL))
);

-- A name is taken once among siblings; and this is the way from a parent to its children.
CREATE UNIQUE INDEX subplans_by_name ON subplans (parent, name) WHERE current;
CREATE INDEX subplans_by_root ON subplans (root);

CREATE FUNCTION agents_check_subplan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.parent, NEW.root, NEW.depth) IS DISTINCT FROM (
        SELECT (plans.parent, coalesce(above.root, plans.parent), coalesce(above.depth, 0) + 1)
        FROM plans LEFT JOIN subplans AS above ON above.plan_id = plans.parent WHERE plans.id = NEW.plan_id)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = 'a subplan is one level below its parent, under the same root';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER subplans_fit_their_parent BEFORE INSERT ON subplans FOR EACH ROW
EXECUTE FUNCTION agents_check_subplan();

CREATE TRIGGER subplans_are_frozen
BEFORE UPDATE OF plan_id, parent, root, depth, position, name, depends_on ON subplans FOR EACH ROW
EXECUTE FUNCTION agents_refuse('whose child a plan is never changes');

CREATE TRIGGER subplans_stay_in_the_past BEFORE UPDATE OF current ON subplans FOR EACH ROW
WHEN (NEW.current AND NOT OLD.current)
EXECUTE FUNCTION agents_refuse('a subplan of the past never comes back');

CREATE TRIGGER subplans_are_never_deleted BEFORE DELETE ON subplans FOR EACH ROW
EXECUTE FUNCTION agents_refuse('whose child a plan is stays known');

-- What a subplan has from its parent instead of its action; NULL: nothing.
ALTER TABLE plan_definitions ADD COLUMN definition_of_done TEXT COLLATE "C";

UPDATE meta SET value = '3' WHERE key = 'schema_version';
