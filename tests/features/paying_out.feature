Feature: Paying out
  Grace sends money from the provider's balance to bank accounts. A payout is sent once, whatever happens on the way, and
  followed until it has arrived; the ledger knows what the provider still holds.

  Background:
    Given the studio takes payments and sends mail
    And Ada is a client of the studio
    And the studio's application listens to everything
    And Ada has paid an invoice over 100.00 USD

  Rule: A payout is sent once

    Scenario: It arrives
      When Grace pays 60.00 USD out to 0690000031
      And the bank has it
      Then the payout is paid
      And "payout.created" is told once
      And "payout.paid" is told once
      And the provider holds 40.00 USD

    Scenario: The bank sends it back
      Given Grace has paid 60.00 USD out to 0690000031
      When the bank sends it back because "The account is closed."
      Then the payout is failed
      And "payout.failed" is told once
      And the provider holds 100.00 USD

    Scenario: The answer is lost
      Given the provider's next answer will be lost
      When Grace pays 60.00 USD out to 0690000031
      Then the payout is unknown
      And the provider holds 100.00 USD
      When the hub looks it up
      Then the payout is pending
      And the provider has sent 1 payout
      And the provider holds 40.00 USD

    Scenario: The question never reached the provider
      Given the provider's next question will be lost
      When Grace pays 60.00 USD out to 0690000031
      And the hub looks it up
      Then the payout is pending
      And the provider has sent 1 payout

  Rule: What cannot be paid out is refused

    Scenario Outline: A mistake
      When Grace pays <amount> USD out to <account>
      Then it is refused: "<why>"
      And the provider has sent 0 payouts
      And the provider holds 100.00 USD

      Examples:
        | amount | account | why                                |
        | 0.00   | 12345   | A payout is more than nothing      |
        | 10.005 | 12345   | does not fit USD                   |
        | 10.00  | 12-45   | An account number has digits only  |
        | 10.00  | 0000    | There is no such account           |

  Rule: What the provider pays out by itself is in the books, too

    Scenario: A payout on the provider's own schedule
      When the provider pays 30.00 USD out by itself
      Then the provider holds 70.00 USD
      And "payout.paid" is told once
