Feature: Telling
  When something happens, everyone who asked to hear of it is told, and nobody else: the studio's own applications,
  the people in Slack and Discord, and the back office by mail.

  Background:
    Given the studio takes payments and sends mail
    And Ada is a client of the studio

  Rule: Whoever listens hears what they asked for

    Scenario Outline: What an application hears
      Given the studio's application listens to "<asked>"
      When Ada pays an invoice over 100.00 USD
      Then the application hears <heard>

      Examples:
        | asked                       | heard                                                                    |
        | *                           | invoice.created, payment.received, invoice.paid                          |
        | invoice.*                   | invoice.created, invoice.paid                                            |
        | payment.*                   | payment.received                                                         |
        | invoice.paid                | invoice.paid                                                             |
        | invoice.paid, payment.*     | payment.received, invoice.paid                                           |
        | invoice.voided              | nothing                                                                  |
        | voice.*, paid.*             | nothing                                                                  |
        | contract.*                  | nothing                                                                  |

    Scenario: Two applications hear of the same thing, each with a signature of its own
      Given the studio's application listens to "invoice.paid"
      And the bookkeeper's application listens to "invoice.*"
      When Ada pays an invoice over 100.00 USD
      Then the application hears invoice.paid
      And the bookkeeper hears invoice.created, invoice.paid

    Scenario: An application that is paused hears nothing
      Given the studio's application listens to everything
      And Grace has paused it
      When Ada pays an invoice over 100.00 USD
      Then the application hears nothing

    Scenario: One that is removed is not told what was still on its way
      Given the studio's application listens to everything
      And Grace has written an invoice over 100.00 USD for Ada
      When Grace removes the application before anything was sent
      Then nothing waits for the application any more
      And the application hears nothing

  Rule: People are told where they read

    Scenario Outline: Each place hears of a payment
      Given <place> is told of "invoice.paid, payment.received"
      When Ada pays an invoice over 100.00 USD
      Then <place> reads "Invoice INV-0001 paid"
      And <place> reads "100.00 USD"
      And <place> has 2 messages

      Examples:
        | place   |
        | Slack   |
        | Discord |
        | mail    |

    Scenario: A place that asked for something else stays quiet
      Given Slack is told of "contract.*"
      And Discord is told of "invoice.*"
      When Ada pays an invoice over 100.00 USD
      Then Slack has 0 messages
      And Discord has 2 messages

    Scenario: Mail goes to the colleagues who were named
      Given mail is told of "invoice.paid"
      When Ada pays an invoice over 100.00 USD
      Then the mail is addressed to office@harbour-finch.example

    Scenario: One place that is away does not keep the others from hearing
      Given Slack is told of "invoice.paid"
      And Discord is told of "invoice.paid"
      And Slack is away for a moment
      When Ada pays an invoice over 100.00 USD
      Then Discord has 1 message
      And "invoice.paid" reaches Slack later

    Scenario: A Slack channel that was deleted is not tried for ever, and that is told
      Given Slack is told of "invoice.*"
      And the studio's application listens to "integration.failing"
      And the Slack channel was deleted
      When Ada pays an invoice over 100.00 USD
      Then Slack is switched off
      And the application hears integration.failing

  Rule: The studio's applications can tell things of their own

    Scenario: An event of a type that the hub has never heard of
      Given the studio's application listens to "kiln.*"
      And Slack is told of "kiln.*"
      When the studio's application tells "kiln.fired" with degrees 1240
      Then the application hears kiln.fired
      And Slack reads "Kiln fired"
      And Slack reads "1240"

    Scenario Outline: A name that is no name
      Given the studio's application listens to everything
      When the studio's application tells "<name>" with degrees 1240
      Then it is refused: "is not an event type"
      And the application hears nothing

      Examples:
        | name        |
        | kiln        |
        | Kiln.Fired  |
        | kiln fired  |
        | kiln..fired |

  Rule: The same call again is the same deed

    Scenario: The same call with the same key
      Given the studio's application listens to everything
      And it has told "kiln.fired" under the key "monday-1"
      When it tells "kiln.fired" under the key "monday-1"
      Then it gets the same answer
      And the application hears kiln.fired

    Scenario: Another call with the same key
      Given the studio's application listens to everything
      And it has told "kiln.fired" under the key "monday-1"
      When it tells "kiln.cooled" under the key "monday-1"
      Then it is refused: "was used for another request"
      And the application hears kiln.fired

    Scenario: The same call while the first is still being done
      Given the studio's application listens to everything
      When it tells "kiln.fired" under the key "monday-1" twice at once
      Then both get the same answer
      And the application hears kiln.fired

  Rule: What did not happen is not told

    Scenario: An invoice that was refused
      Given the studio's application listens to everything
      When Grace writes an invoice over 1200.50 JPY for Ada
      Then the application hears nothing
