Feature: The first thirty seconds
  The demo needs nothing but the program and git, plays in a scratch directory, and shows what the
  locks do.

  Scenario: Plans at once, and a race, each landing once
    When I run "--json demo"
    Then it succeeds
    And there "data.runs" is "[0,0,0]"
    And there "data.commits" is "5"
    And there "data.locks.0.token" is "1"
    And there "data.locks.0.pid" is given
    And there "data.locks.0.from" is a time in UTC

  Scenario: What it shows people
    When I run "demo"
    Then it succeeds
    And stdout says "HELD BY"
    And stdout says "project/local/demo"
    And I am told "of two racing processes one moved the plan"
    And I am told "AGENTS_HOME="
