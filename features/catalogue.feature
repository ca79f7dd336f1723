Feature: Projects and actions
  Plans work on registered repositories and use registered actions. Registering changes neither the
  repository nor the file.

  Scenario: A project is registered, shown and removed
    Given I have run "init"
    And a directory "lone" where git is told "init -q -b main ."
    And in the directory "lone" git is told "commit -q --allow-empty -m first"
    When I run "project add ROOT/lone --name team/web --branch main"
    Then it succeeds
    When I run "--json project show team/web"
    Then it succeeds
    And there "data.branch" is "main"
    And there "data.common_dir" is given
    When I run "project list"
    Then stdout says "team/web"
    When I run "project remove team/web"
    Then it succeeds
    And I am told "the repository itself is untouched"
    When I run "project show team/web"
    Then the exit code is 3
    When I run "project remove team/web"
    Then the exit code is 3

  Scenario: A directory's name that is no good name asks for another
    Given I have run "init"
    And a directory "---" where git is told "init -q -b main ."
    And in the directory "---" git is told "commit -q --allow-empty -m first"
    When I run "project add ROOT/---"
    Then the exit code is 2
    And I am told "--name NAME"

  Scenario: What is taken is said, with who has it
    Given a repository "site"
    When I run "project add ROOT/site --name local/two"
    Then the exit code is 2
    And I am told "taken by the project local/site"

  Scenario: A project in use stays
    Given a repository "site"
    And an action "change" that runs
      """
      true
      """
    And a plan of "change" on "site"
    When I run "project remove local/site"
    Then the exit code is 5
    And I am told "agents plan list --project local/site"

  Scenario: An action is added, replaced, shown and removed
    Given I have run "init"
    And an action "change" that runs
      """
      true
      """
    When I run "--json action show change"
    Then it succeeds
    And there "data.name" is "local/change"
    And there "data.source" is given
    When I run "action list"
    Then stdout says "local/change"
    When I run "action remove change"
    Then it succeeds
    When I run "action remove change"
    Then the exit code is 3
    When I run "action show change"
    Then the exit code is 3
    And I am told "agents action list"

  Scenario: A valid file is said to be valid, and nothing is stored
    Given I have run "init"
    And the file "greet.yaml"
      """
      name: local/greet
      arguments:
        - { name: who, type: string, required: true, description: Whom to greet }
      execute:
        shell: echo "hello $AGENTS_ARG_WHO"
      """
    When I run "action validate ROOT/greet.yaml"
    Then it succeeds
    And I am told "local/greet"
    When I run "action show greet"
    Then the exit code is 3
    When I run "action add ROOT/greet.yaml"
    Then it succeeds
    When I run "--json action add ROOT/greet.yaml"
    Then it succeeds
    And there "data.arguments.0.name" is "who"

  Scenario: The database is looked after
    Given I have run "init"
    When I run "--json db migrate"
    Then it succeeds
    And there "data.pending" is "false"
    When I run "db adopt"
    Then it succeeds
    And I am told "this machine's now"

  @sqlite
  Scenario: A database of an earlier schema is brought up to date with all that is in it
    Given I have run "init"
    And the database is of schema 2, with plans in it
    When I run "plan list"
    Then the exit code is 10
    And I am told "help: agents db migrate"
    When I run "db migrate"
    Then it succeeds
    When I run "db check"
    Then it succeeds
    And I am told "3 plans"
    When I run "--json plan list"
    Then it succeeds
    And there "data.plans.0.state" is "complete"
    And there "data.plans.2.state" is "applied"
    When I run "plan prompt 01M8CH42ZZ6DXDRXX5WM3PD5JA smaller"
    Then it succeeds
