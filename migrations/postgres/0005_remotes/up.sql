-- Projects on several machines: which machine registered a project, and the remote that all of them
-- share.

-- NULL: registered before machines were told apart.
ALTER TABLE projects ADD COLUMN machine_id TEXT COLLATE "C";
ALTER TABLE projects ADD COLUMN machine_host TEXT COLLATE "C";
-- NULL: it is worked on only where it was registered.
ALTER TABLE projects ADD COLUMN remote TEXT COLLATE "C" UNIQUE;
ALTER TABLE projects ADD COLUMN push_snapshots BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE projects ADD CHECK ((machine_id IS NULL) = (machine_host IS NULL));
ALTER TABLE projects ADD CHECK (NOT push_snapshots OR remote IS NOT NULL);

-- A repository is one project on its machine; another machine may have one at the same path.
ALTER TABLE projects DROP CONSTRAINT projects_common_dir_key;
CREATE UNIQUE INDEX projects_by_repository ON projects (common_dir, coalesce(machine_id, ''));

-- The same of the projects of a plan, as they were registered when it was made.
ALTER TABLE plan_projects ADD COLUMN machine_id TEXT COLLATE "C";
ALTER TABLE plan_projects ADD COLUMN machine_host TEXT COLLATE "C";
ALTER TABLE plan_projects ADD COLUMN remote TEXT COLLATE "C";
ALTER TABLE plan_projects ADD COLUMN push_snapshots BOOLEAN NOT NULL DEFAULT false;

-- The machine is left out: a store that is moved for good takes its projects along.
CREATE TRIGGER plan_projects_keep_their_remote
BEFORE UPDATE OF remote, push_snapshots ON plan_projects FOR EACH ROW
EXECUTE FUNCTION agents_refuse('what a plan was ordered to do never changes');

UPDATE meta SET value = '5' WHERE key = 'schema_version';
