Feature: Refunding
  What Ada paid goes back to her, all of it or a part. It goes back once, whatever becomes of the provider's answer, and
  never more than came in. What her bank takes back by itself is not sent a second time.

  Background:
    Given the studio takes payments and sends mail
    And Ada is a client of the studio
    And the studio's application listens to everything

  Rule: Money goes back once, and never more than came in

    Scenario: A part refund
      Given Ada has paid an invoice over 100.00 USD
      When Grace refunds 30.00 USD
      Then 30.00 USD of the payment went back
      And it is paid
      And "payment.refunded" is told once
      And "invoice.refunded" is told once

    Scenario: The provider tells of a refund that the hub made
      Given Ada has paid an invoice over 100.00 USD
      And Grace has refunded 30.00 USD
      When the provider tells everything twice
      Then 30.00 USD of the payment went back
      And "payment.refunded" is told once

    Scenario: More than came in
      Given Ada has paid an invoice over 100.00 USD
      When Grace refunds 100.01 USD
      Then it is refused: "Only 100.00 USD of 100.00 USD can still be refunded"
      And 0.00 USD of the payment went back

    Scenario: Two refunds at once that are too much together
      Given Ada has paid an invoice over 100.00 USD
      When Grace refunds 60.00 USD twice at once
      Then one of the two is refused
      And 60.00 USD of the payment went back
      And the provider has sent 60.00 USD back

    Scenario: The answer to a refund is cut off
      Given Ada has paid an invoice over 100.00 USD
      And Grace's refund of 30.00 USD was cut off
      When the hub looks for refunds without an answer
      Then 30.00 USD of the payment went back
      And the provider has sent 30.00 USD back
      And "payment.refunded" is told once

    Scenario: A refund that the bank sends back later
      Given Ada has paid an invoice over 100.00 USD
      And Grace has refunded 30.00 USD
      When the bank refuses the refund
      Then 0.00 USD of the payment went back
      And the refund is failed: "The bank refused it."
      And 100.00 USD of the payment can be refunded
      And "payment.refund_failed" is told once

    Scenario: A refund made at the provider itself
      Given Ada has paid an invoice over 100.00 USD
      When somebody refunds 20.00 USD at the provider
      Then 20.00 USD of the payment went back
      And "payment.refunded" is told once
      And 80.00 USD of the payment can be refunded

    Scenario: A refund that the provider refuses
      Given Ada has paid an invoice over 100.00 USD
      And the provider's balance is empty
      When Grace refunds 30.00 USD
      Then it is refused: "insufficient balance"
      And 0.00 USD of the payment went back
      And 100.00 USD of the payment can be refunded

    Scenario: A provider that forgets what it was asked is asked what it did before anything is sent again
      Given Ada has paid an invoice over 100.00 USD
      And the provider knows no keys
      And Grace's refund of 30.00 USD was cut off
      When the hub looks for refunds without an answer
      Then 30.00 USD of the payment went back
      And the provider has sent 30.00 USD back

  Rule: What Ada's bank took back is not sent back again

    Scenario: A disputed payment
      Given Ada has paid an invoice over 100.00 USD
      When Ada's bank takes 100.00 USD back
      Then the payment is disputed
      And "payment.disputed" is told once
      And 0.00 USD of the payment can be refunded

    Scenario: Refunding a disputed payment
      Given Ada has paid an invoice over 100.00 USD
      And Ada's bank has taken 100.00 USD back
      When Grace refunds 100.00 USD
      Then it is refused: "a refund would pay twice"
      And the provider has sent 0.00 USD back

    Scenario: A dispute that the studio wins
      Given Ada has paid an invoice over 100.00 USD
      And Ada's bank has taken 100.00 USD back
      When the studio wins the dispute
      Then the payment is succeeded
      And 100.00 USD of the payment can be refunded
