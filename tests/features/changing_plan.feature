Feature: Changing a plan in the middle of a period
  What was paid for and not used is set off against what the new plan costs for the rest of the period, to the second. Grace
  sees the sum before she decides.

  Background:
    Given a plan "Studio" at 90.00 USD a month, with the features "api" and "exports"
    And a plan "Bureau" at 180.00 USD a month, with the features "api" and "exports" and "seats"
    And Ada is a client

  Scenario Outline: A larger plan is paid for before it begins, where <who> renews
    Given Ada has subscribed where <who> renews
    And half of the period has passed
    When Grace looks what "Bureau" would cost
    Then she reads -45.00 USD for the unused rest, 90.00 USD for the new one, and 45.00 USD due now
    When Grace changes it to "Bureau"
    Then Ada has the plan "Bureau"
    And there are paid invoices over 90.00 USD and 45.00 USD

    Examples:
      | who          |
      | the provider |
      | the hub      |

  Scenario: The card for a larger plan is declined
    Given Ada has subscribed where the hub renews
    And half of the period has passed
    And her card is declined from now on
    When Grace changes it to "Bureau"
    Then it is refused: "The card was declined"
    And Ada has the plan "Studio"
    And nothing is owed

  Scenario: A smaller plan leaves a credit
    Given Ada has subscribed to "Bureau" where the hub renews
    And half of the period has passed
    When Grace changes it to "Studio"
    Then Ada has the plan "Studio"
    And 45.00 USD are to come off her next bill
    When the period ends
    Then there are paid invoices over 180.00 USD and 45.00 USD

  Scenario: A change for the next period
    Given Ada has subscribed where the hub renews
    When Grace changes it to "Bureau" from the next period
    Then Ada has the plan "Studio"
    When the period ends
    Then Ada has the plan "Bureau"
    And there are paid invoices over 90.00 USD and 180.00 USD
