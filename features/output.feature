Feature: What is written
  stdout carries data, stderr the rest. With --json stdout holds exactly one document, however a
  command ends, and every way to end has its exit code.

  @binary @sqlite
  Scenario: Without a database nothing works but init, and that is said
    When I run "plan list"
    Then the exit code is 10
    And stdout is empty
    And I am told "there is no database"
    And I am told "help: agents init"
    When I run "--json plan list"
    Then the exit code is 10
    And stdout is one JSON document and stderr is empty
    And there "error.code" is "not_initialised"
    When I run "init"
    Then it succeeds
    When I run "init"
    Then it succeeds
    And I am told "kept"
    When I run "plan list"
    Then it succeeds
    And I am told "no plans"

  @binary
  Scenario: A success is one JSON document
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "--json run change site --name 'Say two'"
    Then it succeeds
    And stdout is one JSON document and stderr is empty
    And there "schema_version" is "1"
    And there "command" is "run"
    And there "status" is "ok"
    And there "exit_code" is "0"
    And there "data.plan_id" is "PLAN"
    And there "data.name" is "Say two"
    And there "data.action" is "local/change"
    And there "data.projects.0" is "local/site"
    And there "data.automation" is "review"
    And there "data.branch" is "agents/plan-PLAN"
    And there "data.created_at" is a time in UTC
    And there "data.updated_at" is a time in UTC
    And there "data.error" is "null"
    And there "data.lock" is "null"
    And there "data.landed" is "[]"
    When I run "--json plan list"
    Then there "data.total" is "1"
    And there "data.plans.0.plan_id" is "PLAN"
    When I run "--json plan events PLAN"
    Then there "data.events.0.event" is "plan.created"
    And there "data.events.0.seq" is "1"
    And there "data.events.0.at" is a time in UTC
    And there "data.events.1.payload.pid" is given

  @binary
  Scenario Outline: A failure is one JSON document: <line>
    Given a repository "site"
    When I run "--json <line>"
    Then the exit code is <code>
    And stdout is one JSON document and stderr is empty
    And there "status" is "error"
    And there "exit_code" is "<code>"
    And there "command" is "<command>"
    And there "error.code" is "<error>"
    And there "error.message" is given

    Examples:
      | line                                   | code | command      | error           |
      | plan status 01JV8Q                     | 3    | plan.status  | no_such_plan    |
      | plan exeucte 01JV8Q                    | 2    | plan         | usage           |
      | plan use nothing site                  | 3    | plan.use     | no_such_action  |
      | plan use nothing elsewhere             | 3    | plan.use     | no_such_project |
      | lock show plan/01ARZ3NDEKTSV4RRFFQ69G5FAV | 3 | lock.show    | not_held        |
      | lock show nonsense                     | 2    | lock.show    | usage           |
      | project add ROOT                       | 2    | project.add  | unsuitable_repository |
      | project add ROOT/site --name root/site | 2    | project.add  | usage           |
      | --lease-ttl 1s plan list               | 2    | plan.list    | usage           |
      | --database-url mysql://x/y plan list   | 2    | plan.list    | database_unsupported |

  Scenario: A plan that is named by an ambiguous beginning is not guessed
    Given a repository "site"
    And an action "change" that runs
      """
      true
      """
    And a plan FIRST of "change" on "site"
    And a plan SECOND of "change" on "site"
    When I run "plan status SHORT"
    Then the exit code is 3
    And I am told "FIRST"
    And I am told "SECOND"
    And the plan FIRST is strategize/queued

  @binary
  Scenario: Quiet prints ids alone
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And a plan of "change" on "site"
    When I run "-q plan execute PLAN"
    Then it succeeds
    And stdout is "PLAN"
    And stderr is empty
    When I run "-q plan list"
    Then stdout is "PLAN"

  @binary
  Scenario: Plain prints a line for each with tabs between
    Given a repository "site"
    And an action "change" that runs
      """
      true
      """
    And a plan of "change" on "site"
    And a plan of "change" on "site"
    When I run "--format plain plan list"
    Then it succeeds
    And stdout has 2 lines with 8 tabs each
    And stderr is empty
    When I run "plan list"
    Then I am told "PHASE"

  Scenario: People see each transition on stderr, and data on stdout
    Given a repository "site"
    And an action "change" that runs
      """
      echo "I am at it"
      """
    And a plan of "change" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And stderr says "plan PLAN execute/processing"
    And stderr says "plan PLAN execute/complete"
    And stdout says "PLAN"
    And I am not told "I am at it"
    When I run "-v plan retry PLAN"
    Then the exit code is 5
    And stdout is empty

  Scenario: A held lock is shown to people and to programs
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When I run "--json lock list"
    Then there "data.locks" is "[]"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "--json lock list"
    Then it succeeds
    And there "data.locks.0.resource_type" is "plan"
    And there "data.locks.0.resource_id" is "PLAN"
    And there "data.locks.0.token" is given
    And there "data.locks.0.owner_id" is given
    And there "data.locks.0.stale" is "false"
    And there "data.locks.0.acquired_at" is a time in UTC
    And there "data.locks.0.expires_at" is a time in UTC
    And there "data.locks.0.holder.pid" is given
    And there "data.locks.0.holder.host" is given
    And there "data.locks.0.holder.user" is given
    And there "data.locks.0.holder.operation" is "plan execute"
    And there "data.locks.0.holder.liveness" is "alive"
    When I run "--json lock list --stale"
    Then there "data.locks" is "[]"
    When I run "lock show plan/PLAN"
    Then it succeeds
    And I am told "plan execute"
    And I am told "alive"
    When "work" goes on
    Then Ada ends with exit code 0
    When I run "lock show plan/PLAN"
    Then the exit code is 3
    And I am told "nobody holds plan/PLAN"

  @binary
  Scenario: Diagnostics say what is well
    Given a repository "site"
    When I run "--json diagnostics"
    Then it succeeds
    And stdout is one JSON document and stderr is empty
    And there the check "config" is "ok"
    And there the check "database" is "ok"
    And there the check "migrations" is "ok"
    And there the check "git" is "ok"
    And there the check "fencing" is "ok"
    And there the check "locks" is "ok"
    And there the check "plans" is "ok"
    And there the check "worktrees" is "ok"

  Scenario: Diagnostics without a database are an error
    When I run "--json diagnostics"
    Then the exit code is 1
    And stdout is one JSON document and stderr is empty
    And there "status" is "ok"
    And there the check "database" is "error"
    And there the check "git" is "ok"

  @binary @sqlite
  Scenario: The database can be looked after
    Given a repository "site"
    And an action "change" that runs
      """
      true
      """
    And an executed plan of "change" on "site"
    When I run "--json db status"
    Then it succeeds
    And there "data.pending" is "false"
    And there "data.journal_mode" is "wal"
    And there "data.path" is "ROOT/home/state/agents.db"
    When I run "--json db check"
    Then it succeeds
    And there "data.plans" is "1"
    And there "data.problems" is "[]"
    When I run "db migrate"
    Then it succeeds
    And I am told "up to date"

  @binary @sqlite
  Scenario: A file that is no database is refused and stays as it is
    Given a repository "site"
    When in "site" the file "not.db" is changed to "this is a letter to my aunt, and no database at all, however long one looks at it"
    And I run "--json --database-url ROOT/site/not.db plan list"
    Then the exit code is 10
    And there "error.code" is "not_a_database"
    And in "site" the file "not.db" says "this is a letter to my aunt, and no database at all, however long one looks at it"

  @binary
  Scenario Outline: Help is data: <line>
    When I run "<line>"
    Then it succeeds
    And stderr is empty
    And I am told "<text>"

    Examples:
      | line                | text                      |
      | --help              | agents run fix-lint       |
      | help                | Usage: agents             |
      | help plan execute   | Usage: agents plan execute |
      | plan execute --help | agents plan execute 01JV8Q |
      | help exit-codes     | a lock is held by another |
      | --version           | agents 0                  |

  Scenario: A name that is mistyped is corrected
    When I run "plan exeucte 01JV8Q"
    Then the exit code is 2
    And stdout is empty
    And I am told "execute"

  @binary
  Scenario: A mistake in an action file is shown where it is
    Given a repository "site"
    When in "site" the file "bad.yaml" is changed to "name: local/bad\nexecute: { shel: 'true' }"
    And I run "action validate ROOT/site/bad.yaml"
    Then the exit code is 2
    And I am told "bad.yaml:2:12"
    And I am told "shell"
    And I am told "agents action schema"

  Scenario: The log is that of the newest attempt that said something
    Given a repository "site"
    And the action
      """
      name: local/talk
      execute:
        shell: echo said by execute; echo two > notes.txt
      validations:
        - { name: silent, run: [test, -f, notes.txt], required: true }
      """
    And an executed plan of "talk" on "site"
    When I run "plan apply PLAN"
    Then it succeeds
    When I run "plan log PLAN"
    Then it succeeds
    And stdout says "said by execute"

  Scenario: Programs are told every cause of a failure
    Given a repository "site"
    And the action
      """
      name: local/greet
      arguments:
        - { name: who, type: string, required: true }
      execute:
        shell: echo hello
      """
    When I run "--json run greet local/site"
    Then the exit code is 2
    And there "error.causes.0" says "who"
