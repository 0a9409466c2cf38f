Feature: Recovering
  A receiver was away, or came late. A person decides what is sent again: first they see how much it is, then it is sent
  in the background, each event once, and live events do not wait behind it.

  Background:
    Given the studio's application listens to "kiln.*"

  Rule: What failed in a time can be sent again

    Scenario: The application was down since breakfast
      Given 240 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      When Grace replays what failed since 8 o'clock
      Then she was told that it is 240 deliveries
      And the replay is done: 240 of 240
      And the application has heard of each firing once
      And each under the name it had before

    Scenario: Only a part of the morning
      Given 240 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      When Grace replays what failed since 10 o'clock
      Then she was told that it is 80 deliveries
      And the replay is done: 80 of 80

    Scenario: Asked for twice, it is sent once
      Given 50 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And Grace has replayed what failed since 8 o'clock
      When Grace replays what failed since 8 o'clock
      Then she was told that it is 0 deliveries
      And the application has heard of each firing once

    Scenario: What has arrived meanwhile is not sent
      Given 50 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And Grace has sent the last one again by hand
      When Grace replays what failed since 8 o'clock
      Then she was told that it is 49 deliveries
      And the application has heard of each firing once

    Scenario: Stopped half-way
      Given 240 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And a replay of what failed since 8 o'clock has made its first 100
      When Grace stops the replay
      Then the application has heard of 100 firings
      And the replay is cancelled: 100 of 240

    Scenario: The hub is restarted in the middle
      Given 240 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And a replay of what failed since 8 o'clock has made its first 100
      When the hub loses its power and is started again
      Then the replay is done: 240 of 240
      And the application has heard of each firing once

    Scenario: The hub loses its power before a step is written down
      Given 240 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And a replay of what failed since 8 o'clock has made its first 100
      And the power fails in the middle of the next step
      When the hub loses its power and is started again
      Then the replay is done: 240 of 240
      And the application has heard of each firing once

    Scenario: A slow application is not buried
      Given 240 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And nothing is delivered at the moment
      When a replay of what failed since 8 o'clock goes on for a while
      Then no more than 100 deliveries wait for the application

    Scenario: It is switched off
      Given 50 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And Grace has paused the application
      When Grace replays what failed since 8 o'clock to the application
      Then it is refused: "Switch it on first"

  Rule: Who came late can have what they missed

    Scenario: An endpoint created at noon gets what it missed since nine
      Given 240 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And the bookkeeper's application listens to "kiln.fired"
      When Grace replays what the bookkeeper missed since 9 o'clock
      Then she was told that it is 160 deliveries
      And the replay is done: 160 of 160
      And the bookkeeper has heard of 160 firings, each once

    Scenario: It gets only what it wants
      Given 50 firings failed to reach the application between 8 and 11 o'clock
      And it is noon
      And the bookkeeper's application listens to "invoice.*"
      When Grace replays what the bookkeeper missed since 8 o'clock
      Then she was told that it is 0 deliveries

  Rule: One delivery is tried now, or never

    Scenario: Now
      Given the application has just failed to take a firing
      When Grace sends it again
      Then the application has heard of 2 firings
      And there is one delivery only

    Scenario: Never
      Given the application has just failed to take a firing
      When Grace skips it
      Then nothing is left to be delivered
