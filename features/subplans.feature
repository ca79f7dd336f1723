@binary
Feature: What a plan is to be split into
  Subplans come from the action file, and from a file that strategize writes. All that is wrong with
  them is told at once, and before the first of them is stored.

  Background:
    Given a repository "site"
    And the action
      """
      name: local/note
      arguments:
        - { name: file, required: true, pattern: "^[a-z]+$" }
        - { name: count, type: integer, default: 1, max: 5 }
      execute: { shell: 'echo "$AGENTS_ARG_COUNT" > "$AGENTS_ARG_FILE.txt"' }
      """
    And the action
      """
      name: local/split
      strategize: { run: [cp, ROOT/lines, "{{ subplans_file }}"] }
      subplans: { mode: dependency }
      """

  # From the action file

  Scenario: A plan has the subplans of its action and those of its strategize phase, and works last
    Given the file "lines"
      """
      {"name": "c", "action": "note", "args": {"file": "c", "count": 3}, "depends_on": ["a"]}

      {"name": "d", "action": "local/note", "args": {"file": "d"}, "projects": ["site"]}
      """
    And the action
      """
      name: local/whole
      arguments: [{ name: count, type: integer, default: 2 }]
      strategize: { shell: cp ROOT/lines "$AGENTS_SUBPLANS_FILE" }
      subplans:
        mode: dependency
        max_parallel: 2
        items:
          - { name: a, action: note, args: { file: a } }
          - { name: b, action: note, args: { file: b, count: 5 }, depends_on: [a] }
      execute: { shell: cat ?.txt | paste -s -d- > all.txt }
      """
    And a plan of "whole" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And there are 5 plans
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "2-5-3-2" in "all.txt"

  Scenario Outline: An action file with <what>
    Given the file "action.yaml"
      """
      {name: x, subplans: {<text>}}
      """
    When I run "action validate ROOT/action.yaml"
    Then the exit code is 2
    And I am told "action.yaml:1:"
    And I am told "<words>"
    When I run "action add ROOT/action.yaml"
    Then the exit code is 2
    And I am told "<words>"
    When I run "action show x"
    Then the exit code is 3

    Examples:
      | what                  | text                                                                                                                                              | words                                                   |
      | an unknown dependency | mode: dependency, items: [{name: server, action: a}, {name: api, action: a, depends_on: [sevrer]}]                                                      | `api` depends on `sevrer`, which is not there, did you mean `server`? |
      | a dependency on itself | mode: dependency, items: [{name: api, action: a, depends_on: [api]}]                                                                             | `api` depends on itself                                 |
      | a circle              | mode: dependency, items: [{name: a, action: x, depends_on: [b]}, {name: b, action: x, depends_on: [c]}, {name: c, action: x, depends_on: [a]}]    | nothing in this circle can begin: a → b → c → a         |
      | a name twice          | items: [{name: a, action: x}, {name: a, action: y}]                                                                                               | `a` is there twice                                      |
      | dependencies in vain  | items: [{name: a, action: x}, {name: b, action: x, depends_on: [a]}]                                                                              | which count in the mode `dependency` only               |
      | too many at once      | max_parallel: 51                                                                                                                                  | max_parallel must be between 1 and 50                   |
      | too many retries      | max_retries: 101                                                                                                                                  | max_retries must be between 0 and 100                   |
      | an unknown mode       | mode: parallell                                                                                                                                   | did you mean `parallel`?                                |
      | a path for a name     | items: [{name: ../a, action: x}]                                                                                                                  | `../a` is not a name of a subplan                       |
      | an unknown key        | items: [{name: a, action: x, depend_on: [b]}]                                                                                                     | unknown key `depend_on`, did you mean `depends_on`?     |

  Scenario: All that is wrong with the items of an action file is told at once
    Given the file "action.yaml"
      """
      name: x
      subplans:
        mode: dependency
        items:
          - { name: a, action: note, depends_on: [zz] }
          - { name: a, action: note }
          - { name: B, action: note }
          - { name: c, action: root/note, depends_on: [c] }
      """
    When I run "action validate ROOT/action.yaml"
    Then the exit code is 2
    And I am told "action.yaml:5:45: `a` depends on `zz`, which is not there"
    And I am told "action.yaml:6:15: `a` is there twice"
    And I am told "action.yaml:7:15: `B` is not a name of a subplan"
    And I am told "action.yaml:8:26: the namespace `root` is reserved"
    And I am told "action.yaml:8:50: `c` depends on itself"

  Scenario: An action with neither work nor subplans
    Given the file "action.yaml"
      """
      name: x
      """
    When I run "action validate ROOT/action.yaml"
    Then the exit code is 2
    And I am told "the key `execute` is missing: it is required, unless there are `subplans`"

  Scenario: Before a plan is made the actions, arguments and projects of its subplans are looked at
    Given a repository "other"
    And the action
      """
      name: local/release
      arguments: [{ name: count, type: integer, default: 7 }]
      subplans:
        items:
          - { name: a, action: note, args: { file: a, count: 2 } }
          - { name: b, action: note, args: { file: B, zz: true } }
          - { name: c, action: publish, projects: [other] }
          - { name: d, action: note, args: { file: 3 } }
      """
    When I run "plan use release site"
    Then the exit code is 2
    And I am told "local/release has subplans that cannot be made"
    And I am told "`b`: argument `file` must match `^[a-z]+$`, which `B` does not; argument `count` must be at most 5, not 7; unknown argument `zz`"
    And I am told "`c`: there is no action local/publish"
    And I am told "`c`: local/other is not a project of the plan"
    And I am told "`d`: argument `file` must be a string, not `3`; argument `count` must be at most 5, not 7"
    And I am told "help: agents action show local/release"
    And there are 0 plans
    When I run "--json run release site"
    Then the exit code is 2
    And there "error.code" is "invalid_subplans"
    And there are 0 plans

  Scenario: What a plan gives its subplans is looked at, too
    Given the action
      """
      name: local/release
      arguments: [{ name: count, type: integer, default: 1 }]
      subplans: { items: [{ name: a, action: note, args: { file: a } }] }
      """
    When I run "plan use release site --arg count=9"
    Then the exit code is 2
    And I am told "`a`: argument `count` must be at most 5, not 9"
    And there are 0 plans
    When I run "run release site --arg count=4 --apply"
    Then it succeeds
    And in "site" the branch "main" has "4" in "a.txt"

  # From the strategize phase

  Scenario: All that is wrong with a file of subplans is one error, and no subplan is stored
    Given a plan of "split" on "site"
    And the file "lines"
      """
      {"name": "a", "action": "note", "args": {"count": 9}}
      {"name": "a", "action": "note", "args": {"file": "a"}}

      {"name": "b", "action": "nothing", "depends_on": ["zz", "b"]}
      {"name": "c", "action": "note", "args": {"file": "c"}, "depends_on": ["d"]}
      {"name": "d", "action": "note", "args": {"file": "d"}, "depends_on": ["c"], "projects": ["other"]}
      {"name": "e", "acton": "note"}
      {"name": "f/g", "action": "note"}
      ["h", "note"]
      {"name": "i", "action": "note", "args": {"file": null}}
      {"name": "j", "act
      """
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "the subplans cannot be made"
    And I am told "line 7: unknown field `acton`, did you mean `action`?"
    And I am told "line 8: `f/g` is not a name of a subplan"
    And I am told "line 9: a JSON object is expected"
    And I am told "line 10: column 53: invalid type: null"
    And I am told "line 11: "
    And I am told "`a` is there twice"
    And I am told "`b` depends on `zz`, which is not there"
    And I am told "`b` depends on itself"
    And I am told "nothing in this circle can begin: c → d → c"
    And I am told "`a`: argument `file` (string) is required; argument `count` must be at most 5, not 9"
    And I am told "`b`: there is no action local/nothing"
    And I am told "`d`: local/other is not a project of the plan"
    And the plan is strategize/errored
    And there are 1 plans
    When I run "plan errors PLAN"
    Then it succeeds
    And I am told "line 7: unknown field `acton`, did you mean `action`?"

  Scenario: Once the file is mended the plan goes on
    Given a plan of "split" on "site"
    And the file "lines"
      """
      {"name": "a", "action": "note", "args": {"file": "a"}}
      {"name": "b", "action": "note", "args": {"file": "b"}, "depends_on": ["A"]}
      """
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "`b` depends on `A`, which is not there"
    Given the file "lines"
      """
      {"name": "a", "action": "note", "args": {"file": "a"}}
      {"name": "b", "action": "note", "args": {"file": "b"}, "depends_on": ["a"]}
      """
    When I do what it says helps
    Then it succeeds
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete
    And there are 3 plans
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "1" in "b.txt"

  Scenario Outline: A file of subplans that is <what>
    Given the action
      """
      name: local/hostile
      strategize: { shell: '<script>' }
      subplans: {}
      """
    And a plan of "hostile" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "<words>"
    And the plan is strategize/errored
    And there are 1 plans

    Examples:
      | what         | script                                                         | words                                                  |
      | cut off      | printf "{" > "$AGENTS_SUBPLANS_FILE"                           | line 1: the line ends before its object does           |
      | binary       | printf "\\377" > "$AGENTS_SUBPLANS_FILE"                        | line 1: this is not UTF-8 text, from byte 1 on         |
      | huge         | seq 100000 > "$AGENTS_SUBPLANS_FILE"                           | 100000 subplans are more than the 1000 that a plan may have |
      | one line     | head -c 70000 /dev/zero > "$AGENTS_SUBPLANS_FILE"              | line 1: it is longer than 64 KiB                       |
      | without end  | truncate -s 1T "$AGENTS_SUBPLANS_FILE"                         | the file is longer than 64 MiB: it was not read on     |
      | a pipe       | rm "$AGENTS_SUBPLANS_FILE"; mkfifo "$AGENTS_SUBPLANS_FILE"     | subplans.jsonl: it is no plain file                    |
      | a link       | ln -sf /dev/zero "$AGENTS_SUBPLANS_FILE"                       | subplans.jsonl: it is no plain file                    |
      | a folder     | rm "$AGENTS_SUBPLANS_FILE"; mkdir "$AGENTS_SUBPLANS_FILE"      | subplans.jsonl: it is no plain file                    |
      | away         | rm "$AGENTS_SUBPLANS_FILE"                                     | subplans.jsonl: No such file                           |

  Scenario: The subplans of an action and those of a file are counted together
    Given the action
      """
      name: local/many
      strategize:
        shell: |
          for n in $(seq 1000); do
            echo "{\"name\":\"n$n\",\"action\":\"note\",\"args\":{\"file\":\"n\"}}"
          done > "$AGENTS_SUBPLANS_FILE"
      subplans: { items: [{ name: a, action: note, args: { file: a } }] }
      """
    And a plan of "many" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "1001 subplans are more than the 1000 that a plan may have"
    And there are 1 plans

  Scenario: Subplans of subplans go no deeper than they may
    Given the file "lines"
      """
      {"name": "a", "action": "note", "args": {"file": "a"}}
      """
    And the action
      """
      name: local/deep
      subplans: { max_retries: 0, items: [{ name: below, action: split }] }
      """
    And a plan of "deep" on "site"
    And the variable "AGENTS_SUBPLAN_DEPTH" is "1"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "subplans at depth 2 are deeper than the 1 levels that may be"
    And there are 2 plans
    Given the variable "AGENTS_SUBPLAN_DEPTH" is "2"
    When I run "run deep site --apply"
    Then it succeeds
    And there are 5 plans
    And in "site" the branch "main" has "1" in "a.txt"

  # By hand

  Scenario: A name that the action will use is not given away before
    Given the action
      """
      name: local/par
      subplans: { items: [{ name: a, action: note, args: { file: a } }] }
      """
    And a plan of "par" on "site"
    When I run "plan spawn PLAN --action note --arg file=b --name a"
    Then the exit code is 2
    And I am told "`a` is the name of a subplan that action local/par will make"
    And there are 1 plans
    When I run "plan spawn PLAN --action note --arg file=b --name b"
    Then it succeeds
    When I run "plan graph PLAN"
    Then it succeeds
    When I run "plan execute PLAN"
    Then it succeeds
    And there are 3 plans
    When I run "plan spawn PLAN --action note --arg file=c --name a"
    Then the exit code is 2
    And I am told "`a` is there twice"

  Scenario: All that is wrong with a subplan that is spawned is told at once
    Given an action "empty" that runs
      """
      true
      """
    And a plan of "empty" on "site"
    When I run "plan spawn PLAN --action note --arg file=XX --arg count=9 --arg zz=1 --project nope --depends-on q --name n"
    Then the exit code is 2
    And I am told "argument `file` must match `^[a-z]+$`, which `XX` does not; argument `count` must be at most 5, not 9; unknown argument `zz`"
    And I am told "`n`: local/nope is not a project of the plan"
    And I am told "`n` has dependencies, which count in the mode `dependency` only"
    When I run "plan spawn PLAN --action note --arg file=a --arg count=two --arg file=b --project nope --name n"
    Then the exit code is 2
    And I am told "argument `file` is given more than once"
    And I am told "argument `count` must be an integer, not `two`"
    And I am told "`n`: local/nope is not a project of the plan"
    And there are 1 plans

  Scenario: Who depends on a line that cannot be read is told of that line alone
    Given a plan of "split" on "site"
    And the file "lines"
      """
      {"name": "x", "action": "note", "args": {"file": "x"}, "depends_on": ["y", "zz"]}
      {"name": "y", "acton": "note"}
      """
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "line 2: unknown field `acton`, did you mean `action`?"
    And I am told "`x` depends on `zz`, which is not there"
    And I am not told "`x` depends on `y`"
