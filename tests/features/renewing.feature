Feature: Renewing a subscription
  Each period is charged once. A charge that fails is tried again after 2, 5, 7 and 7 days; then the subscription is over,
  and nobody is asked for what they did not get.

  Background:
    Given a plan "Studio" at 90.00 USD a month, with the features "api" and "exports"
    And Ada is a client

  Scenario Outline: A period follows the other where <who> renews
    Given Ada has subscribed where <who> renews
    When the period ends
    And the period ends
    Then the subscription is active
    And there are 3 paid invoices over 90.00 USD
    And the books say that 270.00 USD came in

    Examples:
      | who          |
      | the provider |
      | the hub      |

  Scenario: A failing renewal is tried again, and then given up
    Given Ada has subscribed where the hub renews
    And her card is declined from now on
    When the period ends
    Then the subscription is past due
    And she has the features "api" and "exports"
    When 20 days pass
    Then her card was tried 4 times
    And the subscription is past due
    When 1 day passes
    Then her card was tried 5 times
    And the subscription is canceled
    And nothing is owed
    And "subscription.past_due" is told once
    And "subscription.canceled" is told once

  Scenario: Ada pays by hand what could not be charged
    Given Ada has subscribed where the hub renews
    And her card is declined from now on
    When the period ends
    And she follows the link of what is due and pays with another card
    Then the subscription is active
    And there are 2 paid invoices over 90.00 USD

  Scenario: A stolen card is not tried again
    Given Ada has subscribed where the hub renews
    And her card is reported stolen
    When the period ends
    And 8 days pass
    Then her card was tried once
    And the subscription is canceled

  Scenario: No answer is no reason to charge twice
    Given Ada has subscribed where the hub renews
    And the provider will charge her card without saying so
    When the period ends
    And the hub looks again and again
    Then her card was tried once
    When the hub asks the provider what came of it
    Then the subscription is active
    And there are 2 paid invoices over 90.00 USD
    And the books say that 180.00 USD came in
