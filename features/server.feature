@process @postgres
Feature: Plans on a server
  With AGENTS_DATABASE_URL=postgres://… plans are kept on a server, and all else is as it was. Whose tables are there
  is looked at before any is made; who cannot get in is told so, and never the password. A network
  that fails costs time, and nothing else.

  # Whose database it is

  Scenario: Without tables nothing works but init, and that is said without the password
    When I run "plan list"
    Then the exit code is 10
    And I am told "there is nothing in the database postgres://"
    And I am told "help: agents init"
    And I am not told "PASSWORD"
    When I do what it says helps
    Then it succeeds
    And I am not told "PASSWORD"
    When I run "plan list"
    Then it succeeds

  Scenario: Tables of somebody else are not joined by init, but by db migrate
    Given somebody else has a table in the database
    When I run "--json init"
    Then the exit code is 10
    And there "error.code" is "foreign_database"
    When I run "init"
    And I do what it says helps
    Then it succeeds
    When I run "plan list"
    Then it succeeds

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
    And there "data.namespace" is "public"
    And I am not told "PASSWORD"
    When I run "--json db check"
    Then it succeeds
    And there "data.plans" is "1"
    And there "data.problems" is "[]"
    When I run "db migrate"
    Then it succeeds
    And I am told "up to date"

  Scenario: A server belongs to no machine
    Given a repository "site"
    When I run "--json db adopt"
    Then the exit code is 5
    And there "error.code" is "not_a_file"

  # The way there

  Scenario Outline: Who names another <part> is told the way in, and never the password
    Given the database URL has another <part>
    When I run "--json plan list"
    Then the exit code is 10
    And there "error.code" is "store_unavailable"
    And there "error.retryable" is "true"
    And I am told "<told>"
    And I am told "then repeat the command"
    And I am not told "PASSWORD"
    And I am not told "sesame"
    When I run "plan list"
    Then I am told "help: "
    And I am not told "sesame"

    Examples:
      | part     | told                                       |
      | password | in PGPASSWORD or in ~/.pgpass              |
      | user     | the database URL names the right user      |
      | database | make this one (`createdb`)                 |
      | host     | name a host in the database URL            |
      | port     | start the server, or see that the database |

  Scenario: A server that cannot be reached is said to be away, without the password
    Given a repository "site"
    And the way to the server is a bad network
    And the network lets nobody in
    When I run "--json plan list"
    Then the exit code is 10
    And there "error.code" is "store_unavailable"
    And there "error.retryable" is "true"
    And I am told "start the server, or see that the database URL names the host"
    And I am not told "PASSWORD"
    When the network is well again
    And I run "plan list"
    Then it succeeds

  Scenario: Whose connections are cut goes on with new ones
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And the way to the server is a bad network
    When Ada starts "run slow site --apply"
    And Ada reaches "work"
    And the network is cut
    And "work" goes on
    Then Ada ends with exit code 0
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: Who hears nothing for a while goes on when the network is well again
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And the way to the server is a bad network
    When Ada starts "run slow site --apply"
    And Ada reaches "work"
    And the network holds everything back
    And "work" goes on
    And the network is well again
    Then Ada ends with exit code 0
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario Outline: The commit of a <what> that is <fate> is not answered, and nothing happens twice
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    And the way to the server is a bad network
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And the commit of the next <what> is <fate> and its connection cut
    And "work" goes on
    Then Ada ends with exit code 0
    And the network has caught a commit
    And the plan is execute/complete
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, phase_completed"
    When I run "db check"
    Then it succeeds

    Examples:
      | what  | fate |
      | write | done |
      | write | lost |
      | read  | done |
      | read  | lost |

  Scenario Outline: A signal ends no order in the middle: the plan is there, and ordered
    Given a repository "site"
    And an action "change" that runs
      """
      true
      """
    And the way to the server is a bad network
    When whoever places the next order is cut off when it is <fate>
    And Ada starts "--json run change site --detach"
    And the network has caught a commit
    And Ada gets SIGTERM
    And the network is well again
    Then Ada ends with exit code 0
    And there "data.order.goal" is "execute"
    And the locks table has no held row

    Examples:
      | fate |
      | done |
      | lost |
