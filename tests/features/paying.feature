Feature: Paying
  Ada pays by a link. The provider tells the hub of it by messages that come late, twofold, in any order, or never.
  Whatever happens on the way, an invoice is paid once, and the books agree with the provider's.

  Background:
    Given the studio takes payments and sends mail
    And Ada is a client of the studio
    And the studio's application listens to everything

  Rule: A link leads to one page to pay on

    Scenario: A link that is used twice leads to the same page
      Given Ada holds a link to pay an invoice over 100.00 USD
      And she has followed it
      When Ada follows the link
      Then she is led to the same page
      And the provider has 1 page

    Scenario: Two clicks at the same moment lead to the same page
      Given Ada holds a link to pay an invoice over 100.00 USD
      When Ada follows the link twice at once
      Then she is led to the same page
      And the provider has 1 page

    Scenario: An answer that was cut off does not make a second page
      Given Ada holds a link to pay an invoice over 100.00 USD
      And the provider made a page but its answer was cut off
      When Ada follows the link
      Then she is led to a page
      And the provider has 1 page

    Scenario: The next day a new page is opened, and the old one cannot be paid on
      Given Ada holds a link to pay an invoice over 100.00 USD
      And she has followed it
      And a day has passed
      When Ada follows the link
      Then she is led to another page
      And the first page is closed

    Scenario: Asking for a link again gives the same link
      Given Ada holds a link to pay an invoice over 100.00 USD
      When Grace asks for a link to it again
      Then it is the same link

    Scenario: A void invoice cannot be paid
      Given Ada holds a link to pay an invoice over 100.00 USD
      And Grace has made it void
      When Ada follows the link
      Then she reads that the invoice is void

    Scenario: A link that Grace ended, and the page behind it, cannot be paid on
      Given Ada holds a link to pay an invoice over 100.00 USD
      And she has followed it
      And Grace has ended the link
      When Ada follows the link
      Then she reads that the link is expired
      And the first page is closed

    Scenario: A link whose time is up
      Given Ada holds a link to pay an invoice over 100.00 USD
      And a month has passed
      When Ada follows the link
      Then she reads that the link is expired

    Scenario: A provider that is away for a moment
      Given Ada holds a link to pay an invoice over 100.00 USD
      And the provider is away
      When Ada follows the link
      Then it is refused: "try again later"
      And it is open

  Rule: An invoice is paid once, however the provider tells it

    Scenario: The provider tells it
      Given Ada has paid on the page of an invoice over 100.00 USD
      When the provider tells it
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once
      And "payment.received" is told once

    Scenario: The provider tells it twice
      Given Ada has paid on the page of an invoice over 100.00 USD
      When the provider tells everything twice
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once
      And "payment.received" is told once

    Scenario: The provider tells it in the wrong order
      Given Ada has paid on the page of an invoice over 100.00 USD
      When the provider tells it in the wrong order
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once

    Scenario: The provider tells it all at once
      Given Ada has paid on the page of an invoice over 100.00 USD
      When the provider tells everything twice at the same moment
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once
      And "payment.received" is told once

    Scenario: The provider tells it before the hub knew of the page
      Given Ada holds a link to pay an invoice over 100.00 USD
      And the provider made a page but its answer was cut off
      And Ada has paid on that page
      When the provider tells it
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once

    Scenario: The provider tells nothing, but Ada comes back
      Given Ada has paid on the page of an invoice over 100.00 USD
      When Ada comes back to the studio
      Then she reads that the invoice is paid
      And the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once

    Scenario: The provider tells it after Ada came back
      Given Ada has paid on the page of an invoice over 100.00 USD
      And she has come back to the studio
      When the provider tells everything twice
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once

    Scenario: The provider cannot be asked when it tells
      Given Ada has paid on the page of an invoice over 100.00 USD
      And the provider is away
      When the provider tells it, and time passes
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.paid" is told once

    Scenario: A message that is not the provider's is not believed
      Given Ada has paid on the page of an invoice over 100.00 USD
      When somebody else tells it
      Then it is refused: "No signature matches"
      And it is open

    Scenario: A card that is declined, then one that is good
      Given Ada's card was declined on the page of an invoice over 100.00 USD
      And she has paid on it with another card
      When the provider tells it
      Then the invoice is paid by one payment over 100.00 USD
      And "invoice.payment_failed" is told once

  Rule: What is paid cannot be paid again

    Scenario: Following the link of a paid invoice
      Given Ada holds a link to pay an invoice over 100.00 USD
      And Ada has paid it
      When Ada follows the link
      Then she reads that the invoice is paid

    Scenario: Paying elsewhere closes the page that was open
      Given Ada holds a link to pay an invoice over 100.00 USD
      And she has followed it
      When Ada pays it on the studio's own page
      Then the first page is closed
      And the invoice is paid by one payment over 100.00 USD

  Rule: Money that does not match the invoice is not taken for it

    Scenario: Another currency is set aside for a person to look at
      Given Ada holds a link to pay an invoice over 100.00 USD
      When 100.00 EUR come in for it
      Then a payment is conflicted, wrong currency: "It was made in EUR, the invoice is in USD."
      And it is open
      And "invoice.paid" is not told

    Scenario: A part of the amount
      Given Ada holds a link to pay an invoice over 100.00 USD
      When 40.00 USD come in for it
      Then it is partly paid
      And 60.00 USD of it are still due
      And "invoice.paid" is not told

    Scenario: After a part, the page asks for the rest
      Given Ada holds a link to pay an invoice over 100.00 USD
      And she has followed it
      And 40.00 USD have come in for it
      When Ada follows the link
      Then she is led to another page over 60.00 USD
      And the first page is closed

    Scenario: The second part pays it
      Given Ada holds a link to pay an invoice over 100.00 USD
      And 40.00 USD have come in for it
      When 60.00 USD come in for it
      Then it is paid
      And "invoice.paid" is told once

    Scenario: Too much pays it, and what is too much is shown
      Given Ada holds a link to pay an invoice over 100.00 USD
      When 150.00 USD come in for it
      Then it is paid
      And 50.00 USD of it are too much
      And a payment is conflicted, overpaid: "150.00 USD came for invoice INV-0001; 100.00 USD was due."
      And "payment.conflicted" is told once

    Scenario: Too much goes back
      Given Ada holds a link to pay an invoice over 100.00 USD
      And 150.00 USD have come in for it
      When Grace sends it back
      Then the provider has sent 50.00 USD back
      And it is paid
      And 0.00 USD of it are too much
      And no payment is conflicted

    Scenario: A second payment does not pay it again
      Given Ada has paid an invoice over 100.00 USD
      When 100.00 USD come in for it
      Then a payment is conflicted, paid twice: "Invoice INV-0001 had been paid already."
      And 0.00 USD of it are too much
      And "invoice.paid" is told once

    Scenario: The second payment goes back
      Given Ada has paid an invoice over 100.00 USD
      And 100.00 USD have come in for it
      When Grace sends it back
      Then the provider has sent 100.00 USD back
      And it is paid
      And no payment is conflicted

    Scenario: The second payment pays Ada's next invoice
      Given Ada has paid an invoice over 100.00 USD
      And 100.00 USD have come in for it
      When Grace counts it for Ada's next invoice, over 100.00 USD
      Then it is paid
      And no payment is conflicted

    Scenario: The second payment is kept for later
      Given Ada has paid an invoice over 100.00 USD
      And 100.00 USD have come in for it
      When Grace keeps it as it is
      Then 100.00 USD of it are too much
      And no payment is conflicted

    Scenario: Money for an invoice that was withdrawn
      Given Ada holds a link to pay an invoice over 100.00 USD
      And Grace has made it void
      When 100.00 USD come in for it
      Then a payment is conflicted, after void: "It was paid after invoice INV-0001 was made void."
      And it is void
      And "invoice.paid" is not told
