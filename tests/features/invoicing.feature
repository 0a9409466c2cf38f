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

    Scenario: An invoice that no provider could charge in one payment is written
      When Grace writes an invoice over 5000000.00 USD for Ada
      Then it has the number INV-0001

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

  Rule: Taxes and discounts add up to the cent

    Scenario Outline: A tax is added to a price, or is in it
      When Grace writes an invoice over <price> <currency> with <rate> % VAT <how>
      Then it asks for <total> <currency>
      And <tax> <currency> of it is tax

      Examples:
        | price  | currency | rate | how      | total  | tax   |
        | 100.00 | EUR      | 19   | added    | 119.00 | 19.00 |
        | 119.00 | EUR      | 19   | included | 119.00 | 19.00 |
        | 0.50   | EUR      | 5    | added    | 0.53   | 0.03  |
        | 1005   | JPY      | 10   | added    | 1106   | 101   |
        | 1.001  | KWD      | 5    | added    | 1.051  | 0.050 |

    Scenario: A discount lowers the tax as well
      When Grace writes an invoice over 200.00 EUR with 19 % VAT added and 25 % off
      Then it asks for 178.50 EUR
      And 28.50 EUR of it is tax

    Scenario: Nobody is sent an invoice over nothing
      When Grace writes an invoice over 200.00 EUR with 19 % VAT added and 100 % off
      Then it is refused: "an invoice asks for more than nothing"

  Rule: What was wrong on a sent invoice is taken back by a credit note

    Scenario: A credit note lowers what Ada owes
      Given Grace has written an invoice over 100.00 USD for Ada
      And she has sent it to Ada
      When Grace credits 30.00 of it
      Then there is the credit note CN-0001
      And 70.00 USD of it are still due
      And "invoice.credited" is told once

    Scenario: What Ada has paid for it goes back to her
      Given Grace has written an invoice over 100.00 USD for Ada
      And Ada has paid it
      When Grace credits 25.00 of it and sends the money back
      Then it is paid
      And 25.00 USD of it went back to Ada
      And "payment.refunded" is told once

    Scenario: No more is credited than was asked for
      Given Grace has written an invoice over 100.00 USD for Ada
      And she has sent it to Ada
      And Grace has credited 80.00 of it
      When Grace credits 30.00 of it
      Then it is refused: "Only 20.00 USD of 100.00 USD can still be credited"
      And there is the credit note CN-0001

    Scenario: An invoice that is credited in full asks for nothing any more
      Given Grace has written an invoice over 100.00 USD for Ada
      And she has sent it to Ada
      When Grace credits 100.00 of it
      Then it is paid
      And "invoice.paid" is not told

  Rule: Ada is reminded on the days that the studio has set

    Scenario: Each step is one mail, however often the hub looks
      Given the studio reminds 3 days before and 7 days after an invoice is due
      And Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      And it was 2026-01-28
      When it is 2026-02-07
      Then Ada was reminded 2 times
      And the reminder holds the invoice

    Scenario: A paid invoice is not pressed for
      Given the studio reminds 3 days before and 7 days after an invoice is due
      And Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      And Ada has paid it
      When it is 2026-02-07
      Then Ada was reminded 0 times

    Scenario: Grace reminds her by hand
      Given Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      When Grace reminds Ada of it
      Then Ada was reminded 1 times

  Rule: What will not be paid can be written off

    Scenario: Written off, and paid after all
      Given Grace has sent Ada an invoice over 100.00 USD that is due on 2026-01-31
      And Grace has written it off
      When Ada pays it
      Then it is paid
      And "invoice.uncollectible" is told once
      And "invoice.paid" is told once

    Scenario: A draft cannot be written off
      Given Grace has written an invoice over 100.00 USD for Ada
      When Grace writes it off
      Then it is refused: "nobody owes it yet"
