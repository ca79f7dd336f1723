Feature: A plan with subplans can be looked at
  Whoever splits a plan sees what depends on what, where each part stands, who is at it, and why one
  was given up. What is shown can be copied, and read by a program.

  Background:
    Given a repository "site"
    And the action
      """
      name: local/part
      description: One part
      arguments: [{ name: file, required: true }]
      execute:
        shell: |
          [ "$AGENTS_ARG_FILE" != bad ] || exit 3
          [ "$AGENTS_ARG_FILE" != slow ] || pause slow
          echo "$AGENTS_ARG_FILE" > "$AGENTS_ARG_FILE.txt"
      """

  # The graph

  @binary
  Scenario: Subplans are drawn as waves before they are there, and after
    Given the action
      """
      name: local/split
      subplans:
        mode: dependency
        items:
          - { name: api, action: part, args: { file: api } }
          - { name: web, action: part, args: { file: web } }
          - { name: docs, action: part, args: { file: docs }, depends_on: [api, web] }
      """
    And a plan of "split" on "site"
    When I run "plan graph PLAN"
    Then it succeeds
    And stdout says "wave 1"
    And stdout says "  docs  not spawned  <- api, web"
    When I run "--json plan graph PLAN"
    Then it succeeds
    And there "data.plan_id" is "PLAN"
    And there "data.mode" is "dependency"
    And there "data.nodes.2.name" is "docs"
    And there "data.nodes.2.plan_id" is "null"
    And there "data.nodes.2.state" is "not_spawned"
    And there "data.nodes.2.wave" is "2"
    And there "data.nodes.2.depends_on.1" is "web"
    And there "data.edges.0.from" is "api"
    And there "data.edges.0.to" is "docs"
    And there "data.waves.0.1" is "web"
    And there "data.text" says "wave 2"
    When I run "plan execute PLAN"
    Then it succeeds
    When I call its subplan "docs" DOCS
    And I run "plan graph PLAN"
    Then stdout says "  docs  apply/applied  <- api, web"
    When I run "--json plan graph PLAN --as dot"
    Then there "data.form" is "dot"
    And there "data.nodes.2.plan_id" is "DOCS"
    And there "data.nodes.2.phase" is "apply"
    And there "data.nodes.2.state" is "applied"
    And there "data.text" says "digraph"
    When I run "plan graph PLAN --as mermaid"
    Then stdout says "flowchart"
    When I run "plan graph PLAN --as svg"
    Then stdout says "<svg "
    When I run "plan graph DOCS"
    Then it succeeds
    And stdout says "no subplans"
    When I run "plan graph PLAN --as png"
    Then the exit code is 2
    And I am told "ascii, mermaid, dot, svg"

  Scenario: Subplans that a person adds are drawn with those that are to come
    Given the action
      """
      name: local/split
      subplans: { items: [{ name: last, action: part, args: { file: last } }] }
      """
    And a plan of "split" on "site"
    And I have run "-q plan spawn PLAN --action part --name first --arg file=first"
    When I run "plan graph PLAN"
    Then stdout says "  first  strategize/queued"
    And stdout says "  last   not spawned        <- first"

  # The tree

  @binary
  Scenario: A tree shows who was given up, and because of whom
    Given the action
      """
      name: local/split
      subplans:
        max_retries: 0
        items:
          - { name: bad, action: part, args: { file: bad } }
          - { name: docs, action: part, args: { file: docs } }
      """
    And a plan of "split" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And stderr says "plan PLAN subplan `bad` execute/processing"
    And stderr says "plan PLAN subplan `docs` skipped: `bad` did not succeed"
    When I call its subplan "docs" DOCS
    And I run "plan tree PLAN"
    Then it succeeds
    And stdout says "  bad "
    And stdout says "DOCS"
    And stdout says "skipped: `bad` did not succeed"
    When I run "--json plan tree PLAN"
    Then it succeeds
    And there "data.tree.plan_id" is "PLAN"
    And there "data.tree.children.0.state" is "errored"
    And there "data.tree.children.0.subplan.failures" is "1"
    And there "data.tree.children.1.plan_id" is "DOCS"
    And there "data.tree.children.1.subplan.given_up" is "skipped: `bad` did not succeed"
    And there "data.tree.children.1.children" is "[]"
    When I run "plan tree DOCS"
    Then it succeeds
    And I am not told "bad  "
    When I run "plan graph PLAN"
    Then stdout says "  docs  skipped: `bad` did not succeed  <- bad"
    When I run "--json plan events DOCS"
    Then there "data.events.0.payload.subplan.name" is "docs"
    And there "data.events.0.payload.subplan.position" is "1"
    And there "data.events.0.payload.subplan.depth" is "1"
    And there "data.events.1.payload.given_up" is "skipped: `bad` did not succeed"
    When I run "plan events PLAN"
    Then stdout says "`bad`, `docs`"

  Scenario: Subplans of subplans are named by their way from the top
    Given the action
      """
      name: local/inner
      subplans: { items: [{ name: client, action: part, args: { file: client } }] }
      """
    And the action
      """
      name: local/split
      subplans: { items: [{ name: api, action: inner }] }
      """
    And a plan of "split" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And stderr says "plan PLAN subplan `api/client` execute/processing"
    And stderr says "plan PLAN subplan `api`: `client` is merged"
    And stderr says "plan PLAN: `api` is merged"
    When I run "plan tree PLAN"
    Then stdout says "    client"
    When I call its subplan "api" API
    And I run "--json plan tree API"
    Then there "data.tree.plan_id" is "API"
    And there "data.tree.children.0.name" is "client"

  @binary
  Scenario: A tree is watched until its plan rests
    Given the action
      """
      name: local/split
      subplans:
        items:
          - { name: slow, action: part, args: { file: slow } }
          - { name: docs, action: part, args: { file: docs } }
      """
    And a plan of "split" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "slow"
    And Bob starts "plan tree PLAN --watch"
    And Cleo starts "--json plan tree PLAN --watch"
    Then Bob prints "execute/processing" while it runs
    And Cleo prints "slow" while it runs
    When "slow" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And stdout says "`slow` ("
    And stdout says "`docs` ("
    And stdout says "apply/applied"
    And stdout says "plan PLAN execute/complete"
    And Cleo ends with exit code 0
    And each line of stdout is a JSON object with "plan_id,parent_plan_id,path,phase,state,attempt"
    When I run "plan tree PLAN --watch"
    Then it succeeds
    And stdout says "plan PLAN execute/complete"

  # Status, lists

  Scenario: A parent counts its subplans, and a subplan names its parent
    Given the action
      """
      name: local/split
      subplans:
        mode: dependency
        items:
          - { name: api, action: part, args: { file: api } }
          - { name: docs, action: part, args: { file: docs }, depends_on: [api] }
      """
    And an executed plan of "split" on "site"
    When I call its subplan "docs" DOCS
    And I run "plan status PLAN"
    Then stdout says "2: 2 applied"
    When I run "plan status DOCS"
    Then stdout says "parent      PLAN"
    And stdout says "subplan     docs"
    And stdout says "depends on  api"
    When I run "--format plain plan list"
    Then stdout has 1 line with 8 tabs each
    When I run "--format plain plan list --parent PLAN"
    Then stdout has 2 lines with 8 tabs each
    And stdout says "DOCS"
    When I run "--format plain plan list --all"
    Then stdout has 3 lines with 8 tabs each

  Scenario: What a plan's past has spawned is listed, and no part of its tree
    Given the action
      """
      name: local/split
      subplans: { items: [{ name: api, action: part, args: { file: api } }] }
      """
    And an executed plan of "split" on "site"
    When I call its subplan "api" OLD
    And I run "plan revert PLAN"
    And I run "plan execute PLAN"
    Then it succeeds
    When I run "--json plan list --parent PLAN"
    Then there "data.total" is "2"
    When I run "plan tree PLAN"
    Then I am not told "OLD"

  # Looking at what a subplan did

  Scenario: Work and output of a subplan are found like those of any plan
    Given the action
      """
      name: local/split
      subplans:
        items:
          - { name: api, action: part, args: { file: api } }
          - { name: docs, action: part, args: { file: docs } }
      """
    And an executed plan of "split" on "site"
    When I call its subplan "docs" DOCS
    And I run "plan diff DOCS --stat"
    Then it succeeds
    And stdout says "docs.txt"
    And I am not told "api.txt"
    When I run "plan diff PLAN --stat"
    Then stdout says "api.txt"
    And stdout says "docs.txt"
    When I run "plan log DOCS"
    Then it succeeds
    When I run "plan restore DOCS ROOT/found"
    Then it succeeds
    And the file "found/docs.txt" was made
    When I run "plan apply PLAN"
    Then it succeeds
    When I run "plan diff DOCS --stat"
    Then stdout says "docs.txt"

  # Giving up

  @binary
  Scenario: Who cancels a plan is told what became of its subplans
    Given the action
      """
      name: local/split
      subplans:
        items:
          - { name: api, action: part, args: { file: api } }
          - { name: slow, action: part, args: { file: slow } }
          - { name: docs, action: part, args: { file: docs } }
      """
    And a plan of "split" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "slow"
    And I run "--json plan cancel PLAN"
    Then it succeeds
    And there "data.state" is "cancelled"
    And there "data.below.finished" is "1"
    And there "data.below.stopped" is "2"
    And there "data.below.kept" is "1"
    And there "data.subplans.by_state.cancelled" is "2"
    And Ada ends with exit code 9

  # The way on

  Scenario: A subplan never sends a person to a command that only its parent may carry out
    Given the action
      """
      name: local/split
      subplans: { items: [{ name: api, action: part, args: { file: api } }] }
      """
    And a plan of "split" on "site"
    When I run "plan spawn PLAN --action part --name early --arg file=early"
    Then it succeeds
    When I call its subplan "early" EARLY
    And I run "plan prompt EARLY 'be brief'"
    Then it succeeds
    And I am told "next: agents plan why EARLY"
    When I run "plan apply EARLY"
    Then the exit code is 5
    And I am not told "help: agents plan apply"
