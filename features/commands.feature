Feature: Commands
  A plan runs any command. It may ask for an answer or for time, print as much as it likes, and leave
  behind whatever it likes; what runs at once is bounded, and what is over is over.

  Background:
    Given a repository "site"

  # A command that asks a person

  @binary
  Scenario: A command that needs an answer waits for it
    Given an action "curious" that runs
      """
      if [ "$AGENTS_ATTEMPT" -lt 3 ]; then
        echo '{"type":"needs_input","question":"Which colour?"}' >> "$AGENTS_EVENTS_FILE"
        exit 75
      fi
      cat "$AGENTS_GUIDANCE_FILE" > notes.txt
      """
    And a plan of "curious" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And I am told "awaits an answer"
    And I am told "Which colour?"
    And I am told "agents plan prompt PLAN"
    And the plan is execute/queued
    And its "parked.input" is "Which colour?"
    And its "parked.until" is "null"
    And the locks table has no held row
    When I run "plan status PLAN"
    Then I am told "an answer to: Which colour?"
    When I run "plan list"
    Then I am told "an answer to: Which colour?"
    When I run "--json plan list"
    Then there "data.plans.0.parked.input" is "Which colour?"
    When I run "--json plan execute PLAN"
    Then the exit code is 5
    And there "error.code" is "refused"
    When I run "plan execute PLAN"
    Then the exit code is 5
    And I am told "Which colour?"
    And I am told "agents plan prompt PLAN"
    When I run "plan retry PLAN"
    Then the exit code is 5
    And I am told "agents plan prompt PLAN"
    When I run "plan prompt PLAN blue"
    Then it succeeds
    And I am told "next: agents plan execute PLAN"
    And its "parked" is "null"
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "blue" in "notes.txt"

  Scenario: A run that needs an answer says so to programs
    Given an action "curious" that runs
      """
      echo '{"type":"needs_input","question":"Which colour?"}' >> "$AGENTS_EVENTS_FILE"
      exit 75
      """
    When I run "--json run curious site"
    Then the exit code is 8
    And there "error.code" is "needs_input"
    And there "error.details.parked.input" is "Which colour?"
    And there "error.hint" says "agents plan prompt"

  Scenario: Only the last word counts, and what is no word is told
    Given an action "confused" that runs
      """
      echo '{"type":"needs_input","question":"First?"}' > "$AGENTS_EVENTS_FILE"
      echo 'this is no JSON' >> "$AGENTS_EVENTS_FILE"
      echo '{"type":"needs_input","question":"Second?"}' >> "$AGENTS_EVENTS_FILE"
      exit 75
      """
    And a plan of "confused" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And I am told "Second?"
    And I am told "1 line was ignored in"
    And I am not told "First?"

  Scenario: A question without exit 75 is no question
    Given an action "rhetorical" that runs
      """
      echo '{"type":"needs_input","question":"Really?"}' > "$AGENTS_EVENTS_FILE"
      """
    And a plan of "rhetorical" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And its "parked" is "null"

  Scenario: An events file without end is no danger
    Given an action "chatty" that runs
      """
      truncate -s 1G "$AGENTS_EVENTS_FILE"
      echo >> "$AGENTS_EVENTS_FILE"
      echo '{"type":"needs_input","question":"Enough?"}' >> "$AGENTS_EVENTS_FILE"
      exit 75
      """
    And a plan of "chatty" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And I am told "Enough?"

  @binary
  Scenario: A command that puts a pipe where its files were holds nobody up
    Given the action
      """
      name: local/plumber
      strategize:
        shell: 'rm "$AGENTS_STRATEGY_FILE" && mkfifo "$AGENTS_STRATEGY_FILE"'
      execute: { shell: 'true' }
      """
    And a plan of "plumber" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "strategy.md: it is no plain file"
    And its "error.code" is "files"
    Given an action "welder" that runs
      """
      rm "$AGENTS_EVENTS_FILE" && mkfifo "$AGENTS_EVENTS_FILE"
      exit 75
      """
    And a plan of "welder" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And I am told "events.jsonl: it is no plain file"
    And I am told "waits until"
    Given the action
      """
      name: local/fitter
      worktree: { setup: [sh, -c, 'log="${AGENTS_EVENTS_FILE%/*}/output.log"; rm "$log" && mkfifo "$log"'] }
      execute: { shell: 'yes | head -c 200000' }
      """
    And a plan of "fitter" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "output.log: it is no plain file"

  # A command that asks for time

  @binary
  Scenario: A command that asks for time is parked until then, and an order starts it at once
    Given an action "busy" that runs
      """
      [ "$AGENTS_ATTEMPT" -lt 3 ] || exit 0
      echo '{"type":"park","until":"2099-01-01T00:00:00Z","reason":"the service is down"}' > "$AGENTS_EVENTS_FILE"
      exit 75
      """
    When I run "--json plan use busy site"
    And I run "plan execute PLAN"
    Then the exit code is 8
    And I am told "waits until 2099-01-01T00:00:00.000Z: the service is down"
    And I am told "agents plan execute PLAN"
    And its "parked.until" is "2099-01-01T00:00:00.000Z"
    And its "parked.cause" is "the service is down"
    When I run "plan list"
    Then I am told "the service is down"
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete

  Scenario: A run that is parked ends and says until when
    Given an action "busy" that runs
      """
      echo '{"type":"park","retry_after":"10m"}' > "$AGENTS_EVENTS_FILE"
      exit 75
      """
    When I run "run busy site"
    Then the exit code is 8
    And I am told "waits until"
    And I am told "agents plan execute"
    When I run "--json run busy site"
    Then the exit code is 8
    And there "error.code" is "parked"
    And there "error.retryable" is "true"
    And there "error.details.parked.until" is a time in UTC

  # The action's own policy

  Scenario: A policy that names 75 tries again, and parks in the end
    Given the action
      """
      name: local/busy
      execute:
        shell: 'exit 75'
        retry: { max_attempts: 2, on_exit: [75] }
      """
    And a plan of "busy" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And its "attempt" is "3"
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, phase_failed, retried, phase_started, parked"

  Scenario: A policy that does not name 75 leaves it alone
    Given the action
      """
      name: local/busy
      execute:
        shell: 'exit 75'
        retry: { max_attempts: 2 }
      """
    And a plan of "busy" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And its "attempt" is "2"

  @process
  Scenario: A pause between attempts is shown as waiting, keeps the plan, and ends with a signal
    Given the action
      """
      name: local/flaky
      execute:
        shell: 'exit 9'
        retry: { max_attempts: 3, on_exit: [9], backoff: 1h }
      """
    And a plan of "flaky" on "site"
    When Ada starts "plan execute PLAN"
    Then Ada says "before attempt 3" while it runs
    And the plan is execute/queued
    And the locks table has a held row for "plan/PLAN"
    When I run "plan execute PLAN"
    Then the exit code is 4
    When Ada gets SIGTERM
    Then Ada ends with exit code 143
    And I am told "agents plan execute PLAN"
    And the plan is execute/queued
    And the locks table has no held row

  @process
  Scenario: A cancel reaches a plan that pauses between attempts
    Given the action
      """
      name: local/flaky
      execute:
        shell: 'exit 9'
        retry: { max_attempts: 3, on_exit: [9], backoff: 1h }
      """
    And a plan of "flaky" on "site"
    When Ada starts "plan execute PLAN"
    Then Ada says "before attempt 3" while it runs
    When I run "plan cancel PLAN"
    Then it succeeds
    And Ada ends with exit code 9
    And the plan is execute/cancelled

  # Places

  @process
  Scenario: No more commands run at once than there are places
    Given an action "slow" that runs
      """
      pause work
      """
    And an action "quick" that runs
      """
      true
      """
    And there is 1 place for commands
    And a plan FIRST of "slow" on "site"
    And a plan SECOND of "quick" on "site"
    When Ada starts "plan execute FIRST"
    And Ada reaches "work"
    And I run "--no-wait plan execute SECOND"
    Then the exit code is 4
    And I am told "no place is free for a command of execute: 1 of 1 places are taken"
    And I am told "runs execute of plan FIRST"
    And the plan SECOND is execute/queued
    When I run "--json --no-wait plan execute SECOND"
    Then the exit code is 4
    And there "error.code" is "no_place"
    And there "error.details.places.taken.0.plan_id" is "FIRST"
    And there "error.retryable" is "true"
    When I run "--json diagnostics"
    Then there the check "places" is "ok"
    When Bob starts "plan execute SECOND"
    Then Bob says "waiting for a place: 1 of 1 places are taken" while it runs
    And the plan SECOND is execute/queued
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And the plan SECOND is execute/complete

  @process
  Scenario: Whoever waits for a place can be stopped, and nothing has happened
    Given an action "slow" that runs
      """
      pause work
      """
    And an action "quick" that runs
      """
      true
      """
    And there is 1 place for commands
    And a plan FIRST of "slow" on "site"
    And a plan SECOND of "quick" on "site"
    When Ada starts "plan execute FIRST"
    And Ada reaches "work"
    And Bob starts "plan execute SECOND"
    Then Bob says "waiting for a place" while it runs
    When Bob gets SIGTERM
    Then Bob ends with exit code 143
    And I am told "agents plan execute SECOND"
    And the plan SECOND is execute/queued
    When Bob starts "plan execute SECOND"
    Then Bob says "waiting for a place" while it runs
    When I run "plan cancel SECOND"
    Then it succeeds
    And Bob ends with exit code 9
    And the plan SECOND is execute/cancelled
    When "work" goes on
    Then Ada ends with exit code 0

  @process
  Scenario: The place of a driver that is killed is free, whatever lives on
    Given an action "clinging" that runs
      """
      kill -STOP $PPID
      exec 9> ROOT/pauses/life
      pause work
      """
    And an action "quick" that runs
      """
      true
      """
    And somebody listens to "life"
    And there is 1 place for commands
    And a plan FIRST of "clinging" on "site"
    And a plan SECOND of "quick" on "site"
    When Ada starts "plan execute FIRST"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "--no-wait plan execute SECOND"
    Then it succeeds
    When I run "recover"
    Then it succeeds
    And "life" falls silent
    And the plan FIRST is execute/errored

  @process
  Scenario: A command that runs agents itself does so in its own place
    Given an action "inner" that runs
      """
      echo two > notes.txt
      """
    And an action "outer" that runs
      """
      AGENTS_HOME=ROOT/home AGENTS run inner ROOT/site
      """
    And there is 1 place for commands
    When I run "run outer site"
    Then it succeeds

  Scenario: A number of places that makes no sense is a mistake
    Given there are 0 places for commands
    When I run "plan list"
    Then the exit code is 2
    And I am told "AGENTS_CONCURRENCY: `0` is no concurrency: use a number from 1 to 64"

  # Watching

  @process
  Scenario: What a command prints can be followed from elsewhere until it is over
    Given an action "talking" that runs
      """
      echo before
      pause work
      echo after
      """
    And a plan of "talking" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan log PLAN -f"
    Then Bob prints "out| before" while it runs
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And I am told "out| before"
    And I am told "out| after"

  @process
  Scenario: Following goes on with the next attempt
    Given the action
      """
      name: local/flaky
      execute:
        shell: 'echo "this is $AGENTS_ATTEMPT"; pause work; [ "$AGENTS_ATTEMPT" -gt 2 ] || exit 9; pause more; echo done'
        retry: { max_attempts: 2, on_exit: [9] }
      """
    And a plan of "flaky" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan log PLAN --follow"
    Then Bob prints "this is 2" while it runs
    When "work" goes on
    And Ada reaches "more"
    Then Bob prints "[agents] … attempt 3 …" while it runs
    And Bob prints "this is 3" while it runs
    When "more" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And I am told "out| done"

  @process
  Scenario: Following ends with a signal, and leaves the plan alone
    Given an action "talking" that runs
      """
      echo before
      pause work
      """
    And a plan of "talking" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan log PLAN -f"
    Then Bob prints "before" while it runs
    When Bob gets SIGINT
    Then Bob ends with exit code 130
    And the plan is execute/processing
    When "work" goes on
    Then Ada ends with exit code 0

  @process
  Scenario: Following ends when the driver is dead, and says so
    Given an action "talking" that runs
      """
      echo before
      pause work
      """
    And a plan of "talking" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "--json plan log PLAN -f"
    Then Bob prints "before" while it runs
    When Ada gets SIGKILL
    And Ada is gone
    Then Bob ends with exit code 0
    And each line of stdout is a JSON object with "plan_id,attempt,at,stream,continued,text"
    When I run "plan log PLAN -f"
    Then it succeeds
    And I am told "agents recover"

  Scenario: Following what is over prints it and ends
    Given an action "talking" that runs
      """
      echo all there is
      """
    And an executed plan of "talking" on "site"
    When I run "plan log PLAN -f"
    Then it succeeds
    And I am told "out| all there is"
    When I run "plan log PLAN -f --attempt 9"
    Then the exit code is 3
    When I run "--json plan use talking site"
    And I run "plan log PLAN -f"
    Then the exit code is 3
    And I am told "has run no command yet"

  # Processes

  @process
  Scenario: When its time is up everything a command has started ends with it
    Given the action
      """
      name: local/family
      execute:
        shell: |
          exec 9> ROOT/pauses/life
          (trap '' TERM; exec sleep 1000) &
          setsid sh -c 'trap "" TERM; exec sleep 1000' &
          (setsid sh -c '(trap "" TERM; sleep 1000) & exit' &)
          trap '' TERM
          pause ready
          while :; do sleep 1000; done
        timeout: 2s
      """
    And somebody listens to "life"
    And commands get a grace of 200ms
    And a plan of "family" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "ready"
    And "ready" goes on
    Then Ada ends with exit code 7
    And I am told "ran out of time"
    And "life" falls silent

  @process
  Scenario: What a command leaves behind ends before its work is put away
    Given an action "littering" that runs
      """
      exec 9> ROOT/pauses/life
      (trap '' TERM; while :; do echo late >> late.txt; sleep 0.01; done) &
      (setsid sh -c '(trap "" TERM; exec sleep 1000) & exit' &)
      echo two > notes.txt
      """
    And somebody listens to "life"
    And commands get a grace of 100ms
    And a plan of "littering" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And "life" falls silent
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"

  @process
  Scenario: A command that multiplies ends as a whole
    Given an action "rabbits" that runs
      """
      exec 9> ROOT/pauses/life
      breed() { [ "$1" -eq 0 ] || { breed $(($1 - 1)) & breed $(($1 - 1)) & wait; }; sleep 1000; }
      breed 6 &
      pause work
      wait
      """
    And somebody listens to "life"
    And commands get a grace of 100ms
    And a plan of "rabbits" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGTERM
    Then Ada ends with exit code 143
    And "life" falls silent

  @process
  Scenario: A stop during the preparation runs nothing more
    Given the action
      """
      name: local/prepared
      worktree: { setup: [sh, -c, "exec 9> ROOT/pauses/life; pause setup; sleep 1000"] }
      execute: { shell: 'echo ran > ROOT/ran' }
      """
    And somebody listens to "life"
    And a plan of "prepared" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "setup"
    And Ada gets SIGTERM
    Then Ada ends with exit code 143
    And "life" falls silent
    And the plan is execute/errored
    And its "error.code" is "shutdown"
    And the command never ran

  Scenario: The last line counts even without its end
    Given an action "abrupt" that runs
      """
      printf 'no end of line'
      exit 3
      """
    And a plan of "abrupt" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "no end of line"
    And its log shows "out| no end of line"

  Scenario: Values from the environment are seen by the command and by nobody else
    Given the action
      """
      name: local/secretive
      execute: { shell: 'echo "the word is $SECRET_WORD"; printf "%s" "$SECRET_WORD" | wc -c > notes.txt; exit 3' }
      env_from: [SECRET_WORD]
      """
    And the variable "SECRET_WORD" is "open-sesame"
    And a plan of "secretive" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "the word is [redacted SECRET_WORD]"
    And I am not told "open-sesame"
    And its log shows "the word is [redacted SECRET_WORD]"
    And in "site" a snapshot of the plan has "11" in "notes.txt"
