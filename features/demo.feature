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

  Scenario: Ten subplans, of which one fails and two do not go together
    When I run "--json demo --subplans"
    Then it succeeds
    And there "data.steps.0.exit" is "6"
    And there "data.steps.1.done" says "git merge agents/plan-"
    And there "data.steps.2.exit" is "7"
    And there "data.steps.4.done" says "--only-failed"
    And there "data.steps.4.exit" is "0"
    And there "data.steps.5.exit" is "0"
    And there "data.subplans.5.name" is "billing"
    And there "data.subplans.5.states" is '["errored","errored","applied"]'
    And there "data.subplans.6.states" is '["cancelled","cancelled","applied"]'
    And there "data.subplans.9.states.2" is "applied"
    And there "data.commits" is "3"

  Scenario: What it shows people of subplans
    When I run "demo --subplans"
    Then it succeeds
    And stdout says "constrained: conflict"
    And stdout says "errored, 2 attempts: exit_code"
    And stdout says "cancelled, skipped: `billing` did not succeed"
    And I am told "agents plan tree"
    And I am told "strategize/cancelled"
    And I am told "by hand: "
    And I am told "AGENTS_HOME="
