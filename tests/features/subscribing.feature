Feature: Subscribing a client to a plan
  A client agrees once, and is then charged period after period. Whether the payment provider renews by itself or the hub
  does it in its stead makes no difference to the client, nor to the books.

  Background:
    Given a plan "Studio" at 90.00 USD a month, with the features "api" and "exports"
    And Ada is a client

  Scenario Outline: Ada subscribes where <who> renews
    When Ada is asked to subscribe through a provider where <who> renews
    Then the subscription is incomplete
    And she has none of the plan's features
    When she agrees to it and pays
    Then the subscription is active
    And she has the features "api" and "exports"
    And there is one paid invoice over 90.00 USD
    And "subscription.created" is told once

    Examples:
      | who          |
      | the provider |
      | the hub      |

  Scenario Outline: A trial where <who> renews costs nothing until it is over
    When Ada subscribes with a trial of 14 days where <who> renews
    Then the subscription is trialing
    And she has the features "api" and "exports"
    And there is no invoice
    When 11 days pass
    Then "subscription.trial_ending" is told once

    Examples:
      | who          |
      | the provider |
      | the hub      |

  Scenario Outline: Ada never agrees where <who> renews
    When Ada is asked to subscribe through a provider where <who> renews
    And 8 days pass
    Then the subscription is expired
    And nothing is owed
    And "subscription.created" is not told

    Examples:
      | who          |
      | the provider |
      | the hub      |

  Scenario Outline: Ada leaves at the end of what she paid for, where <who> renews
    Given Ada has subscribed where <who> renews
    When Grace cancels it for the end of the period
    Then the subscription is active
    When Grace takes that back
    And Grace cancels it for the end of the period
    And the period ends
    Then the subscription is canceled
    And there is one paid invoice over 90.00 USD
    And "subscription.canceled" is told once

    Examples:
      | who          |
      | the provider |
      | the hub      |
