Feature: Numbers for monitoring
  A monitoring system reads how the store stands, in the text format of Prometheus, at little cost and
  without changing anything.

  Background:
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """

  Scenario: An empty store has all its numbers
    When I run "metrics"
    Then it succeeds
    And stdout is what Prometheus reads
    And the number "agents_plans{phase=strategize,state=queued}" is 0
    And the number "agents_plans{phase=apply,state=applied}" is 0
    And the number "agents_locks_held{resource=plan}" is 0
    And the number "agents_locks_stale{resource=project}" is 0
    And the number "agents_lock_waiters" is 0
    And the number "agents_requests_open{kind=cancel}" is 0
    And the number "agents_orders_open{place=in_line}" is 0
    And the number "agents_recent_seconds" is 3600
    And the number "agents_store_up" is 1

  Scenario: Plans, events and what they took are counted
    Given an action "fail" that runs
      """
      exit 1
      """
    And a plan of "change" on "site"
    And an executed plan of "change" on "site"
    And I have run "run fail site"
    When I run "metrics"
    Then stdout is what Prometheus reads
    And the number "agents_plans{phase=strategize,state=queued}" is 1
    And the number "agents_plans{phase=execute,state=complete}" is 1
    And the number "agents_plans{phase=execute,state=errored}" is 1
    And the number "agents_events_total{kind=plan.created}" is 3
    And the number "agents_events_total{kind=plan.phase_failed}" is 1
    And the number "agents_recent_attempts{phase=execute,outcome=failed}" is 1
    And the number "agents_recent_attempts{phase=execute,outcome=complete}" is 1
    And there is a number "agents_recent_attempt_seconds{phase=execute,outcome=complete,quantile=0.99}"

  @process
  Scenario: What is held and asked now is counted
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "metrics"
    Then stdout is what Prometheus reads
    And the number "agents_locks_held{resource=plan}" is 1
    And the number "agents_plans{phase=execute,state=processing}" is 1
    When "work" goes on
    Then Ada ends with exit code 0
    When I run "metrics"
    Then the number "agents_locks_held{resource=plan}" is 0

  Scenario: The same numbers are one JSON document
    Given a plan of "change" on "site"
    When I run "--json metrics"
    Then it succeeds
    And stdout is one JSON document and stderr is empty
    And there "data.metrics.0.name" is "agents_build_info"
    And there "data.metrics.1.name" is "agents_store_up"
    And there "data.metrics.2.name" is "agents_plans"
    And there "data.metrics.2.type" is "gauge"
    And there "data.metrics.2.samples.0.labels.phase" is "strategize"
    And there "data.metrics.2.samples.0.value" is "1.0"

  @process
  Scenario: A worker serves the numbers of the store, and those of its own
    Given a plan of "change" on "site"
    When I run "plan execute PLAN --detach"
    And I run "metrics"
    Then the number "agents_orders_open{place=in_line}" is 1
    And there is a number "agents_order_longest_wait_seconds"
    When Ada starts "worker run --metrics 0"
    And I run "plan wait PLAN"
    Then it succeeds
    When I fetch the metrics of Ada
    Then stdout is what Prometheus reads
    And the number "agents_store_up" is 1
    And the number "agents_plans{phase=execute,state=complete}" is 1
    And the number "agents_orders_open{place=in_line}" is 0
    And the number "agents_process_attempt_seconds_count{phase=execute,outcome=complete}" is 1
    And the number "agents_process_fence_rejections_total" is 0
    And there is a number "agents_process_lock_hold_seconds_count{resource=plan}"
    When Ada gets SIGTERM
    Then Ada ends with exit code 0

  Scenario: An address that cannot be served at is refused before any work
    When I run "worker run --once --metrics 192.0.2.1:9469"
    Then the exit code is 2
    And I am told "metrics cannot be served at 192.0.2.1:9469"
    When I run "worker run --once --metrics nowhere"
    Then the exit code is 2
