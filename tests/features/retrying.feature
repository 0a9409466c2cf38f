Feature: Retrying
  The application that listens is sometimes away. The hub asks again, later and later, until it is heard or until
  asking on would be a nuisance; and it never says the same thing under two names.

  Background:
    Given the studio's application listens to "kiln.*"
    And the bookkeeper's application listens to "webhook.disabled"

  Rule: A receiver that fails is asked again, later and later

    Scenario: It fails twice and then accepts
      Given the application fails 2 times and then accepts
      When "kiln.fired" happens, and time passes
      Then the application is asked 3 times
      And the waits in between were 1 s, 5 s
      And it has accepted

    Scenario: Every time it is asked under the same name
      Given the application fails 2 times and then accepts
      When "kiln.fired" happens, and time passes
      Then each time the name was the same and the signature held
      And each time is on record with what was answered: 503, 503, 200

    Scenario Outline: What counts as a failure that may pass
      Given the application <fails>
      When "kiln.fired" happens, and time passes
      Then the application is asked 2 times
      And it has accepted

      Examples:
        | fails                     |
        | answers 500 once          |
        | answers 404 once          |
        | answers 301 once          |
        | cannot be reached once    |

    Scenario: It never accepts
      Given the application fails for ever
      When "kiln.fired" happens, and time passes
      Then the application is asked 12 times
      And the last time was 76 hours after the first
      And the delivery is given up

    Scenario: An address that may not be reached is not asked again
      Given the application's address has become forbidden
      When "kiln.fired" happens, and time passes
      Then the application is asked 0 times
      And the delivery is given up

    Scenario: A worker that dies is replaced, and its late word does not count
      Given a worker took up "kiln.fired" and died
      When time passes
      Then the application is asked once
      And it has accepted
      And what the dead worker says now is not recorded

  Rule: A receiver that asks to be left alone is left alone

    Scenario Outline: It says for how long
      Given the application asks to be left alone for <asked>
      When "kiln.fired" happens, and time passes
      Then the application is asked 2 times
      And the wait in between was <waited>

      Examples:
        | asked      | waited  |
        | 2 minutes  | 120 s   |
        | 0 minutes  | 1 s     |
        | 99 minutes | 5940 s  |
        | 4320 minutes | 86400 s |

    Scenario: What else waits for it is left alone as well
      Given the application asks to be left alone for 10 minutes
      And "kiln.fired" has only just happened
      And workers have done what is due
      When "kiln.cooled" happens, and time passes
      Then the application is asked 3 times
      And the waits in between were 600 s, 0 s

  Rule: A receiver that keeps failing is asked by one at a time

    Scenario: After some failures in a row it is left alone for half a minute, and no attempt is used up by that
      Given the application fails 8 times and then accepts
      When 20 things happen at once, and time passes
      Then the application is asked 28 times
      And it is left alone for 30 s after the first 8
      And it has accepted all of them, none after more than 2 attempts

  Rule: A receiver may ask for one at a time, in order

    Scenario: What cannot be delivered holds up what comes after it
      Given the application wants one at a time
      And the application fails 2 times and then accepts
      And "kiln.fired" has only just happened
      When "kiln.cooled" happens, and time passes
      Then the application is told kiln.fired, kiln.fired, kiln.fired, kiln.cooled in this order
      And the waits in between were 1 s, 5 s, 0 s

    Scenario: What is given up makes way
      Given the application wants one at a time
      And the application's address has become forbidden
      And "kiln.fired" has only just happened
      When "kiln.cooled" happens, and time passes
      Then the delivery is given up

  Rule: A receiver that is gone is not asked any more

    Scenario: It says that it is gone
      Given the application says that it is gone
      When "kiln.fired" happens, and time passes
      Then the application is asked once
      And the application is switched off: "it is gone for good"
      And the bookkeeper hears webhook.disabled

    Scenario: Nothing is kept for one that is gone
      Given the application says that it is gone
      And "kiln.fired" has happened, and time has passed
      When "kiln.cooled" happens, and time passes
      Then the application is asked once

    Scenario: Ten that were given up in a row switch it off
      Given the application fails for ever
      When 10 deliveries are given up
      Then the application is switched off: "10 deliveries in a row failed for good"
      And the bookkeeper hears webhook.disabled

    Scenario: People are warned before
      Given the bookkeeper's application listens to "webhook.failing"
      And the application fails for ever
      When 9 deliveries are given up
      Then the bookkeeper hears webhook.failing, webhook.failing
      And the application is not switched off

    Scenario: Nine in a row do not
      Given the application fails for ever
      When 9 deliveries are given up
      Then the application is not switched off
      And the bookkeeper hears nothing

    Scenario: One that is accepted in between starts the count again
      Given the application fails for ever
      And 9 deliveries were given up
      And the application is well again and has accepted one
      And the application fails for ever
      When 9 deliveries are given up
      Then the application is not switched off

    Scenario: A person switches it on again
      Given the application says that it is gone
      And "kiln.fired" has happened, and time has passed
      And the application is well again
      And Grace has switched it on again
      When "kiln.cooled" happens, and time passes
      Then the application is asked 2 times
      And it has accepted

  Rule: A person can send again

    Scenario: What was given up
      Given the application fails for ever
      And "kiln.fired" has happened, and time has passed
      And the application is well again
      When Grace sends it again
      Then it has accepted
      And each time the name was the same and the signature held

    Scenario: What was accepted already
      Given "kiln.fired" has happened, and time has passed
      When Grace sends it again
      Then the application is asked 2 times
      And each time the name was the same and the signature held

    Scenario: Not what is on its way
      Given "kiln.fired" has only just happened
      When Grace sends it again
      Then it is refused: "already on its way"

    Scenario: Not to one that is switched off
      Given the application says that it is gone
      And "kiln.fired" has happened, and time has passed
      When Grace sends it again
      Then it is refused: "Switch it on first"

  Rule: A secret can be changed without missing a word

    Scenario: Until the grace is over, both secrets fit
      Given Grace has changed the application's secret with an hour of grace
      When "kiln.fired" happens, and time passes
      Then both the old and the new secret fit

    Scenario: After the grace only the new one fits
      Given Grace has changed the application's secret with an hour of grace
      And an hour has passed
      When "kiln.fired" happens, and time passes
      Then only the new secret fits

    Scenario: Without grace only the new one fits at once
      Given Grace has changed the application's secret with no grace
      When "kiln.fired" happens, and time passes
      Then only the new secret fits
