@sqlite
Feature: Moving to another database
  Where one machine is no longer enough, everything moves to a server, and back. Nothing is lost and
  nothing is there twice: what was left takes no orders any more, and says where everything is.

  Background:
    Given a repository "site"
    And an action "edit" that runs
      """
      echo two > notes.txt
      """
    And an action "slow" that runs
      """
      pause work
      """

  @binary
  Scenario: From a file to a server, where the plan goes on
    Given an executed plan of "edit" on "site"
    And an empty database SERVER on a server
    When I run "--json db copy-to SERVER"
    Then it succeeds
    And there "data.tables.plans" is "1"
    And there "data.replayed" is "1"
    When I run "plan list"
    Then the exit code is 10
    And I am told "has been moved to postgres://"
    And I am told "db adopt --restored"
    When I run "project remove site"
    Then the exit code is 10
    When I run "db status"
    Then it succeeds
    And I am told "moved to"
    When commands use the database "SERVER"
    Then the plan is execute/complete
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    When I run "db check"
    Then it succeeds
    And I am told "sound: 1 plans replayed"

  @binary
  Scenario: From a server to a file, where the plan goes on
    Given an executed plan of "edit" on "site"
    And an empty database SERVER on a server
    When I run "db copy-to SERVER"
    Then it succeeds
    When commands use the database "SERVER"
    And I run "db copy-to ROOT/back/agents.db"
    Then it succeeds
    And I am told "everything is in ROOT/back/agents.db now; 1 logs replayed there"
    When I run "plan apply PLAN"
    Then the exit code is 10
    And I am told "has been moved to ROOT/back/agents.db"
    When commands use the database "ROOT/back/agents.db"
    And I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    When I run "db check"
    Then it succeeds

  Scenario: Asking for the same move again is no mistake
    Given an executed plan of "edit" on "site"
    When I run "db copy-to ROOT/other.db"
    Then it succeeds
    When I run "db copy-to ROOT/other.db"
    Then it succeeds
    And I am told "has been moved to ROOT/other.db before"
    When I run "db copy-to ROOT/third.db"
    Then the exit code is 10
    And I am told "moved already, to ROOT/other.db"

  @binary
  Scenario: Nothing is copied over what is there
    Given an executed plan of "edit" on "site"
    When I run "db copy-to ROOT/home/state/agents.db"
    Then the exit code is 2
    And I am told "is the database that is to be moved"
    When I run "db copy-to ROOT/other.db"
    Then it succeeds
    When commands use the database "ROOT/third.db"
    And I run "init"
    And I run "project add ROOT/site --name local/site"
    And I run "db copy-to ROOT/other.db"
    Then the exit code is 5
    And I am told "the target is not empty"
    When I run "project list"
    Then it succeeds
    When I run "db copy-to mysql://u:secret@h/d"
    Then the exit code is 2
    And I am not told "secret"

  @process
  Scenario: Nobody is moved away from under a living holder
    Given a plan of "slow" on "site"
    And an empty database SERVER on a server
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "db copy-to SERVER"
    Then the exit code is 4
    And I am told "doing: plan execute"
    When Bob starts "--wait 5m db copy-to SERVER"
    Then Bob says "waiting for plan/PLAN" while it runs
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    When commands use the database "SERVER"
    Then the plan is execute/complete

  @process
  Scenario: What a dead driver left is recovered where everything is now
    Given a plan of "slow" on "site"
    And an empty database SERVER on a server
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "db copy-to SERVER"
    Then it succeeds
    When commands use the database "SERVER"
    Then the plan is execute/processing
    When I run "recover"
    Then it succeeds
    And the plan is execute/errored
    And its "error.code" is "owner_died"

  @process
  Scenario: A copy that is killed leaves nothing, and is made again
    Given an executed plan of "edit" on "site"
    And 40000 requests of old times
    And an empty database SERVER on a server
    When Ada starts "db copy-to SERVER"
    Then Ada says "requests: " while it runs
    When Ada gets SIGKILL
    And Ada is gone
    Then there is nothing on the server
    And the plan is execute/complete
    When I run "--json db copy-to SERVER"
    Then it succeeds
    And there "data.tables.requests" is "40000"
    When commands use the database "SERVER"
    Then the plan is execute/complete

  Scenario: A restored backup is made safe to go on with
    Given an executed plan of "edit" on "site"
    When a backup is made
    And I run "plan prompt PLAN 'this will be forgotten'"
    And the backup is put back
    And I run "db adopt --restored"
    Then it succeeds
    And I am told "every fencing token is higher than any before"
    When I run "db check"
    Then it succeeds
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"

  @binary
  Scenario: A server is adopted only as a restored one
    Given an executed plan of "edit" on "site"
    And an empty database SERVER on a server
    When I run "db copy-to SERVER"
    And commands use the database "SERVER"
    And I run "db adopt"
    Then the exit code is 5
    And I am told "agents db adopt --restored"
    When I do what it says helps
    Then it succeeds
    When I run "plan apply PLAN"
    Then it succeeds

  Scenario: What was moved is taken back, where nobody works with the copy
    Given an executed plan of "edit" on "site"
    When I run "db copy-to ROOT/other.db"
    Then it succeeds
    When I run "db adopt --restored"
    Then it succeeds
    And I am told "the database is open again; do not use ROOT/other.db any more"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"

  Scenario: Moving back needs an empty database, as every move
    Given an executed plan of "edit" on "site"
    When I run "db copy-to ROOT/other.db"
    Then it succeeds
    When commands use the database "ROOT/other.db"
    And I run "db copy-to ROOT/home/state/agents.db"
    Then the exit code is 5
    And I am told "the target is not empty: ROOT/home/state/agents.db is closed"
    And I am told "moving back needs a new place too"
    And I am not told "adopt"
    And I am not told "copy-to ROOT/other.db"
    When I run "db copy-to ROOT/back.db"
    Then it succeeds

  Scenario: What helps with a database that was moved is told of that one, whichever is used otherwise
    Given an executed plan of "edit" on "site"
    When I run "db copy-to ROOT/other.db"
    And commands use the database "ROOT/other.db"
    And I run "--database-url ROOT/home/state/agents.db plan list"
    Then the exit code is 10
    When I do what it says helps
    Then it succeeds
    And I am told "the database is open again; do not use ROOT/other.db any more"

  @process
  Scenario: A database is not taken from under somebody who lives
    Given a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "db adopt --restored"
    Then the exit code is 4
    And I am told "alive), doing: plan execute"
    And I am told "wait until it has ended, or end it"
    When "work" goes on
    Then Ada ends with exit code 0
    And the plan is execute/complete
    When I run "db adopt --restored"
    Then it succeeds
