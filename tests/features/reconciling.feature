Feature: Reconciling
  Every night the hub compares what the provider lists as moved with what was recorded here, as a bookkeeper would with
  two sets of books. What does not agree is named; what is to be done about it, a person decides, and it is written down.

  Background:
    Given the studio takes payments and sends mail
    And Ada is a client of the studio
    And the studio's application listens to everything

  Rule: Books that agree are said to agree

    Scenario: A day with a payment and a refund
      Given Ada has paid an invoice over 100.00 USD
      And Grace has refunded 25.00 USD of it
      When the night comes
      Then yesterday's books agree
      And both sides come to 100.00 USD of payments and 25.00 USD of refunds
      And "reconciliation.finished" is told once

    Scenario: The next night compares the next day
      Given Ada has paid an invoice over 100.00 USD
      And the night has come
      When the night comes
      Then 2 days have been compared

  Rule: What one side lacks is named, and a person's click settles it

    Scenario: A payment that no message told of
      Given Ada has paid an invoice over 100.00 USD, and no message of it came
      When the night comes
      Then yesterday's books differ: a payment over 100.00 USD is missing here
      When Grace takes it in
      Then it is paid
      And Grace's name is beside it
      And the night after that there is nothing more to settle

    Scenario: A refund that somebody made at the provider
      Given Ada has paid an invoice over 100.00 USD
      And somebody has refunded 40.00 USD at the provider, and no message of it came
      When the night comes
      Then yesterday's books differ: a refund over 40.00 USD is missing here
      When Grace takes it in
      Then 40.00 USD of the payment has gone back

    Scenario: A payment that the provider does not know
      Given the books hold a payment over 70.00 USD that the provider does not know
      When the night comes
      Then yesterday's books differ: a payment over 70.00 USD is missing there

    Scenario: A payment over another amount
      Given Ada has paid an invoice over 100.00 USD
      And the provider lists it with 99.00 USD
      When the night comes
      Then yesterday's books differ: a payment has another amount

    Scenario: A fee that became known later
      Given Ada has paid an invoice over 100.00 USD
      And the provider has kept 3.20 USD of it since
      When the night comes
      Then yesterday's books differ: a payment has another fee
      When Grace asks the provider again
      Then the ledger has 3.20 USD of fees

  Rule: What is accepted is not told of again

    Scenario: The provider's monthly fee
      Given the provider has taken 20.00 USD for the month
      And the night has come
      When Grace accepts it as "the monthly fee"
      Then it is written down that Grace accepted it as "the monthly fee"
      And comparing that day again finds nothing
