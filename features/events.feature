Feature: What happens to all plans
  Whoever watches over many plans reads one stream of their events: all of them, in an order in which
  nothing comes before what it follows from, and each once. A follower goes on as they come.

  Background:
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """

  Scenario: The events of all plans are shown one after the other
    Given a plan ONE of "change" on "site"
    And a plan TWO of "change" on "site"
    When I run "plan prompt ONE 'be brief'"
    And I run "--format plain events"
    Then it succeeds
    And stdout has 3 lines with 5 tabs each
    And the lines of stdout tell of "ONE 1, TWO 1, ONE 2"
    And stdout says "be brief"
    When I run "events"
    Then the lines of stdout tell of "ONE 1, TWO 1, ONE 2"
    When I run "-q events"
    Then stdout has 3 lines with 0 tabs each
    When I run "--json events"
    Then each line of stdout is a JSON object with "event_id,plan_id,seq,at,owner_id,token,event,schema_version,payload"

  Scenario: An event says the same in the stream as in the log of its plan
    Given an executed plan of "change" on "site"
    When I run "--json events"
    Then the objects on stdout are the events of the plan

  Scenario: A stream begins with the last while, or with what is to come
    Given a plan of "change" on "site"
    When I run "events --since 1h"
    Then the lines of stdout tell of "PLAN 1"
    When I run "events --since 7d"
    Then the lines of stdout tell of "PLAN 1"
    When I run "events --since 0s"
    Then it succeeds
    And stdout is empty
    When I run "events --since yesterday"
    Then the exit code is 2

  Scenario: Without plans there is nothing to show
    When I run "--json events"
    Then it succeeds
    And stdout is empty

  @process
  Scenario Outline: A follower shows what happens while it runs, and ends when it is told to: <signal>
    Given a plan ONE of "change" on "site"
    When Ada starts "events --follow"
    Then Ada prints "plan.created" while it runs
    When I run "plan prompt ONE 'be brief'"
    Then Ada prints "be brief" while it runs
    When I run "plan execute ONE"
    Then Ada prints "plan.phase_completed" while it runs
    When Ada gets <signal>
    Then Ada ends with exit code <code>

    Examples:
      | signal  | code |
      | SIGINT  | 130  |
      | SIGTERM | 143  |

  @process
  Scenario: A follower that is to begin with what is to come shows nothing older
    Given a plan ONE of "change" on "site"
    When Ada starts "--json events -f --since 0s"
    And Ada has begun to follow
    And I run "plan prompt ONE 'be brief'"
    Then Ada prints "be brief" while it runs
    When Ada gets SIGTERM
    Then Ada ends with exit code 143
    And I am not told "plan.created"

  Scenario: Where there is no database a stream is one document that says so
    When I run "--database-url sqlite:ROOT/none.db --json events --follow"
    Then the exit code is 10
    And stdout is one JSON document and stderr is empty
