Feature: Invoicing
  Grace keeps the books of Harbour & Finch, a design studio. She writes invoices for Ada, who runs Northwind Coffee.
  What Ada holds in her hands must never change behind her back, and the numbers must satisfy an auditor.

  Background:
    Given the studio takes payments and sends mail
    And Ada is a client of the studio
    And the studio's application listens to everything

  Rule: Invoices are numbered without gaps

    Scenario: Each invoice takes the next number
      Given Grace has written an invoice over 100.00 USD for Ada
      When Grace writes an invoice over 250.00 USD for Ada
      Then it has the number INV-0002
      And "invoice.created" is told 2 times

    Scenario: An invoice that is refused for its price leaves no gap
      Given Grace has written an invoice over 100.00 USD for Ada
      And she was refused an invoice over 1200.50 JPY for Ada
      When Grace writes an invoice over 250.00 USD for Ada
      Then it has the number INV-0002

    Scenario: An invoice that nobody could be charged leaves no gap
      Given Grace has written an invoice over 100.00 USD for Ada
      And she was refused an invoice over 5000000.00 USD for Ada
      When Grace writes an invoice over 250.00 USD for Ada
      Then it has the number INV-0002

    Scenario: Two invoices written at the same moment take two numbers
      When Grace writes two invoices over 100.00 USD for Ada at once
      Then there are the invoices INV-0001, INV-0002

  Rule: A price fits its currency, or the invoice is refused

    Scenario Outline: A price that does not fit
      When Grace writes an invoice over <price> <currency> for Ada
      Then it is refused: "<reason>"
      And there is no invoice
      And "invoice.created" is not told

      Examples:
        | price      | currency | reason                                       |
        | 1200.50    | JPY      | does not fit JPY, which has no decimals      |
        | 10.005     | USD      | does not fit USD, which has 2 decimals       |
        | 1.0005     | KWD      | does not fit KWD, which has 3 decimals       |
        | -5.00      | USD      | A price is not negative                      |
        | 0.00       | USD      | an invoice asks for more than nothing        |
        | 1,000.00   | USD      | is not a decimal number                      |
        | 10.00      | DOLLARS  | is not an ISO 4217 currency code             |
        | 5000000.00 | USD      | cannot be charged                            |

    Scenario Outline: A price that fits is kept to the last digit
      When Grace writes an invoice over <price> <currency> for Ada
      Then it asks for <kept> <currency>

      Examples:
        | price  | currency | kept   |
        | 12.5   | USD      | 12.50  |
        | 1200   | JPY      | 1200   |
        | 1200.0 | JPY      | 1200   |
        | 0.125  | KWD      | 0.125  |

  Rule: What Ada holds does not change any more

    Scenario: A draft can still be changed
      Given Grace has written an invoice over 100.00 USD for Ada
      When Grace changes its price to 120.00
      Then it asks for 120.00 USD

    Scenario: A sent invoice cannot be changed
      Given Grace has written an invoice over 100.00 USD for Ada
      And she has sent it to Ada
      When Grace changes its price to 120.00
      Then it is refused: "only a draft can be changed"
      And it asks for 100.00 USD

    Scenario: A sent invoice is open, and Ada has it in her mail with a link to pay
      Given Grace has written an invoice over 100.00 USD for Ada
      When Grace sends it to Ada
      Then it is open
      And Ada has a mail with the payment link
      And "invoice.sent" is told once

    Scenario: A client who moves does not change the invoice that she holds
      Given Grace has written an invoice over 100.00 USD for Ada
      When Ada's business is renamed to "Southwind Tea"
      Then it is addressed to "Ada Northwind"

  Rule: An invoice can be withdrawn while nothing was paid on it

    Scenario: Withdrawing an invoice
      Given Grace has written an invoice over 100.00 USD for Ada
      When Grace makes it void
      Then it is void
      And "invoice.voided" is told once

    Scenario: Withdrawing it twice is telling it once
      Given Grace has written an invoice over 100.00 USD for Ada
      And she has made it void
      When Grace makes it void
      Then it is void
      And "invoice.voided" is told once

    Scenario: A paid invoice cannot be withdrawn
      Given Grace has written an invoice over 100.00 USD for Ada
      And Ada has paid it
      When Grace makes it void
      Then it is refused: "refund it before"
      And it is paid

  Rule: An invoice that is overdue is told once

    Scenario: The day after it was due
      Given Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      When it is 2026-02-01
      Then it is overdue
      And "invoice.overdue" is told once

    Scenario: On its very day it is not overdue yet
      Given Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      When it is 2026-01-31
      Then it is open
      And "invoice.overdue" is not told

    Scenario: However often the hub looks, it is told once
      Given Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      And it was 2026-02-01
      When it is 2026-02-10
      Then "invoice.overdue" is told once

    Scenario: A draft that nobody has seen is never overdue
      Given Grace has written an invoice over 100.00 USD for Ada, due on 2026-01-31
      When it is 2026-02-01
      Then it is a draft
      And "invoice.overdue" is not told

    Scenario: An overdue invoice can still be paid
      Given Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      And it was 2026-02-01
      When Ada pays it
      Then it is paid
      And "invoice.paid" is told once
